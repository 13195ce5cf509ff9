package identity

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"iter"
	"slices"
	"strconv"
)

// AliasMatch says which profiles an alias matches. The documentation speaks of aliases of identified users alone, so
// this is a choice.
type AliasMatch uint8

// The choices of [AliasMatch].
const (
	AliasAnyProfile     AliasMatch = iota // an alias matches whoever has it, with or without an external ID
	AliasIdentifiedOnly                   // an alias matches profiles with an external ID alone
)

// DeprecatedMatch says whether a renamed profile still matches by its former external ID. Elsewhere such an ID resolves
// until it is removed; whether it does for cohorts is undocumented, so this is a choice.
type DeprecatedMatch uint8

// The choices of [DeprecatedMatch].
const (
	DeprecatedMatches DeprecatedMatch = iota // a former external ID matches
	DeprecatedIgnored                        // a former external ID does not match
)

// Rules choose the one identifier by which a person is sent, and say what an identifier matches. The zero value is
// ready to use: external ID before alias before device ID, aliases of any label, and the likelier reading of what is
// undocumented.
//
// Changed Rules may change the identifier of a person, and each such change costs a removal and an addition; see
// [Rules.Fingerprint]. Rules are safe for concurrent use as long as nobody changes their slices.
type Rules struct {
	// Order is the preference among the kinds of identifiers. A kind that is left out is never sent. Empty means
	// external ID, alias, device ID.
	Order []Kind

	// AliasLabels are the labels whose aliases may be sent, the preferred one first. Empty means any label.
	AliasLabels []string

	// AliasMatch is [AliasAnyProfile] unless set. With [AliasIdentifiedOnly] a person without external ID is not sent
	// by alias.
	AliasMatch AliasMatch

	// DeprecatedMatch is [DeprecatedMatches] unless set. It steers [Rules.Match] alone: a person does not know which of
	// its external IDs is a former one.
	DeprecatedMatch DeprecatedMatch
}

// Validate returns nil or a [*RulesError]: Order must name each kind at most once and no other value, AliasLabels must
// be valid labels of which none repeats, and the choices must be among those of this package.
func (r Rules) Validate() error {
	for i, kind := range r.Order {
		switch {
		case !kind.valid():
			return &RulesError{Field: "Order", Index: i, Problem: "is no kind of identifier",
				Hint: "use ExternalIDKind, AliasKind and DeviceIDKind"}
		case slices.Contains(r.Order[:i], kind):
			return &RulesError{Field: "Order", Index: i, Problem: "repeats a kind", Hint: "name each kind once"}
		}
	}
	for i, label := range r.AliasLabels {
		if reason, bad := errors.AsType[*RejectError](Alias{Label: label, Name: "-"}.ID().Validate()); bad {
			return &RulesError{Field: "AliasLabels", Index: i, Problem: "cannot be a label (" + string(reason.Reason) + ")",
				Hint: "give the label as it is written at the endpoint"}
		}
		if slices.Contains(r.AliasLabels[:i], label) {
			return &RulesError{Field: "AliasLabels", Index: i, Problem: "repeats a label", Hint: "name each label once"}
		}
	}
	if r.AliasMatch > AliasIdentifiedOnly {
		return &RulesError{Field: "AliasMatch", Index: -1, Problem: "is no known choice",
			Hint: "use AliasAnyProfile or AliasIdentifiedOnly"}
	}
	if r.DeprecatedMatch > DeprecatedIgnored {
		return &RulesError{Field: "DeprecatedMatch", Index: -1, Problem: "is no known choice",
			Hint: "use DeprecatedMatches or DeprecatedIgnored"}
	}
	return nil
}

// Choose returns the one identifier by which the person is sent, or a [*RejectError].
//
// It takes the first kind of the order that the person has. An identified person is never sent by device ID. Of several
// aliases it takes the one whose label comes first in AliasLabels or, without those, the least label in byte order; of
// several names under one label, and of several devices, the least in byte order. The choice thus does not depend on the
// order in which a source lists identifiers, and stays the same as long as the identifiers do.
//
// When the identifier taken is invalid the person is rejected. There is no second choice: to send the person by a
// weaker identifier today and by the better one tomorrow would make two members of one user.
//
// The Rules must be valid. Choose allocates nothing unless it rejects.
func (r Rules) Choose(person Person) (ID, error) {
	byDefault := [kinds]Kind{ExternalIDKind, AliasKind, DeviceIDKind}
	order := r.Order
	if len(order) == 0 {
		order = byDefault[:]
	}
	for _, kind := range order {
		if id, ok := r.pick(kind, &person); ok {
			if err := id.Validate(); err != nil {
				return ID{}, err
			}
			return id, nil
		}
	}
	if _, ok := leastDevice(person.DeviceIDs); ok && person.identified() {
		return ID{}, &RejectError{Field: fieldPerson, Reason: ReasonOnlyDevices}
	}
	return ID{}, &RejectError{Field: fieldPerson, Reason: ReasonNoIdentifier}
}

// pick returns the identifier of this kind that stands for the person, if there is one that can match.
func (r *Rules) pick(kind Kind, person *Person) (ID, bool) {
	switch kind {
	case ExternalIDKind:
		return ExternalID(person.ExternalID), person.ExternalID != ""
	case AliasKind:
		if r.AliasMatch == AliasIdentifiedOnly && !person.identified() {
			return ID{}, false
		}
		alias, ok := r.bestAlias(person.Aliases)
		return alias.ID(), ok
	case DeviceIDKind:
		if person.identified() {
			return ID{}, false
		}
		device, ok := leastDevice(person.DeviceIDs)
		return DeviceID(device), ok
	default:
		return ID{}, false
	}
}

func (r *Rules) bestAlias(aliases []Alias) (best Alias, ok bool) {
	bestRank := 0
	for _, alias := range aliases {
		if alias.Name == "" {
			continue
		}
		rank := 0
		if len(r.AliasLabels) > 0 {
			if rank = slices.Index(r.AliasLabels, alias.Label); rank < 0 {
				continue
			}
		}
		if !ok || rank < bestRank || rank == bestRank && alias.compare(best) < 0 {
			best, bestRank, ok = alias, rank, true
		}
	}
	return best, ok
}

func leastDevice(devices []string) (least string, ok bool) {
	for _, device := range devices {
		if device != "" && (!ok || device < least) {
			least, ok = device, true
		}
	}
	return least, ok
}

// IDs returns the identifiers chosen for the people of a source, one for each row and in the same order.
//
// A person that [Rules.Choose] rejects is yielded as the zero ID and the [*RejectError], and the sequence goes on. So is
// an error of the source that is or wraps a RejectError: the source met a bad row. Any other error of the source is
// yielded once and ends the sequence. Invalid Rules are yielded as a [*RulesError] before the source is asked for
// anything.
//
// The source is ranged over once for each time the result is. No goroutine is started; breaking out of the loop stops
// the source.
func (r Rules) IDs(people iter.Seq2[Person, error]) iter.Seq2[ID, error] {
	return func(yield func(ID, error) bool) {
		if err := r.Validate(); err != nil {
			yield(ID{}, err)
			return
		}
		for person, err := range people {
			if err != nil {
				_, goesOn := errors.AsType[*RejectError](err)
				if !yield(ID{}, err) || !goesOn {
					return
				}
				continue
			}
			if !yield(r.Choose(person)) {
				return
			}
		}
	}
}

// Fingerprint returns sixteen hexadecimal digits that stand for everything which decides what [Rules.Choose] returns.
// Equal rules have equal fingerprints, however they are spelt: an Order that says what the empty one means, labels that
// no order asks for, and DeprecatedMatch make no difference. Whoever keeps a record of what was sent keeps the
// fingerprint beside it, to notice that other rules are about to change who is known by what. It stays the same in later
// versions. The Rules must be valid.
func (r Rules) Fingerprint() string {
	order := r.Order
	if len(order) == 0 {
		order = []Kind{ExternalIDKind, AliasKind, DeviceIDKind}
	}
	b := []byte("cohortkit identity rules 1")
	for _, kind := range order {
		b = append(b, ' ')
		b = append(b, kind.String()...)
	}
	if slices.Contains(order, AliasKind) {
		b = append(b, " alias match "...)
		b = strconv.AppendUint(b, uint64(r.AliasMatch), 10)
		for _, label := range r.AliasLabels {
			b = append(b, ' ')
			b = strconv.AppendInt(b, int64(len(label)), 10)
			b = append(b, ':')
			b = append(b, label...)
		}
	}
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:8])
}
