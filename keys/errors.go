package keys

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// The names of the fields of an [InvalidError].
const (
	fieldImportKey  = "data import key"
	fieldPartnerKey = "partner API key"
	fieldRESTKey    = "REST API key"
	fieldPartner    = "partner"
	fieldSnapshot   = "ring snapshot"
)

// The kinds of failures, for errors.Is. All but the last two come wrapped in an error that names the operation.
var (
	// ErrMissing says that a key or another part of the credentials was not given.
	ErrMissing = errors.New("missing")

	// ErrUnknownKey says that an [Issuer] never issued the key it was asked about, or that it is not in the [Ring].
	ErrUnknownKey = errors.New("unknown data import key: compare its fingerprint with those that are listed")

	// ErrInvalidatedKey says that an [Issuer] issued the key, or a [Ring] had it, and that it was invalidated since.
	ErrInvalidatedKey = errors.New("the data import key was invalidated: use another key of the list or generate one")

	// ErrIssuedKey says that an [Issuer] already lists the key that it was to adopt, or one with its fingerprint.
	ErrIssuedKey = errors.New("the data import key is already in the issuer's list: nothing is left to do, or choose another text")

	// ErrNoStagedKey says that a [Ring] has no key to promote.
	ErrNoStagedKey = errors.New("no data import key is staged: generate one on the partner's page of the dashboard, and stage it first")

	// ErrActiveKey says that a [Ring] cannot do without the key.
	ErrActiveKey = errors.New("the data import key is active: stage another one and promote it first")

	// ErrNotEncoded is the error of writing a key in a form that is meant to be read back.
	ErrNotEncoded = errors.New("keys: a key is not encoded: keep it in a secret store and leave it out of encoded values")

	// ErrNotDecoded is the error of decoding into a key.
	ErrNotDecoded = errors.New("keys: a key is not decoded: decode a string and pass it to NewImportKey, NewPartnerKey or NewRESTKey")
)

// Reason says what is wrong with a value of an [InvalidError]. It is one of the constants below.
type Reason string

// The reasons, as tails of a sentence that starts with the name of the field.
const (
	ReasonEmpty    Reason = "must not be empty"
	ReasonEncoding Reason = "is not valid UTF-8"
	ReasonControl  Reason = "holds a control character"
	ReasonBlank    Reason = "starts or ends with a blank"
	ReasonPath     Reason = "cannot be one segment of a path"
	ReasonSnapshot Reason = "must name one active key, at most one staged and one retiring, and none twice"
)

// InvalidError says that a key, or another part of the credentials, cannot be sent. It holds nothing of the value.
// It matches [ErrMissing] when the value is empty.
type InvalidError struct {
	// Field names the value: "data import key", "partner API key", "REST API key", "partner" or "ring snapshot".
	Field string
	// Instance is the instance whose partner API key it is, when that comes from [PartnerKeys], else "".
	Instance string
	// Reason says what is wrong with it.
	Reason Reason
}

// Error returns the field, the instance, the reason and the next step.
func (e *InvalidError) Error() string {
	s := "keys: " + e.Field
	if e.Instance != "" {
		s += " for instance " + strconv.Quote(e.Instance)
	}
	s += " " + string(e.Reason)
	if next := e.next(); next != "" {
		s += ": " + next
	}
	return s
}

// Is reports whether target is [ErrMissing] and the value is empty.
func (e *InvalidError) Is(target error) bool { return target == ErrMissing && e.Reason == ReasonEmpty }

func (e *InvalidError) next() string {
	switch e.Reason {
	case ReasonEmpty:
		switch e.Field {
		case fieldImportKey:
			return "generate one on the partner's page of the dashboard, under Partner Integrations > Technology Partners"
		case fieldPartnerKey:
			return "Braze gives it to the partner, one for each group of instances"
		case fieldRESTKey:
			return "create one under Settings > APIs and Identifiers > API Keys"
		case fieldPartner:
			return "give the name by which the partner appears in the path of the cohort endpoints, such as tinyclues"
		}
		return "give it a value"
	case ReasonEncoding:
		return "it was cut or read in another encoding; copy it again"
	case ReasonControl:
		return "the usual cause is the line break at the end of a file or of a copied line; strip it where the value is read"
	case ReasonBlank:
		return "strip the blanks where the value is read"
	case ReasonPath:
		return `give the bare name without a slash; "." and ".." are no names`
	case ReasonSnapshot:
		return "restore what Snapshot returned, whole and unchanged, or start over with NewRing"
	default:
		return ""
	}
}

// SourceError says that a [Source] could not give a key. It wraps the cause, which matches [ErrMissing] when the place
// holds no key, is an [*InvalidError] when it holds something that cannot be one, and matches fs.ErrNotExist and the
// like when a file cannot be read.
type SourceError struct {
	// Place names where the key was looked for, such as `environment variable "NAME"` or `file "/run/secrets/key"`.
	Place string
	// Err is the cause.
	Err error
	// next is the next step, where the cause does not tell it.
	next string
}

// Error returns the place, the cause and the next step.
func (e *SourceError) Error() string {
	s := fmt.Sprintf("keys: data import key from %s: %s", e.Place, strings.TrimPrefix(e.Err.Error(), "keys: "))
	if e.next != "" {
		s += ": " + e.next
	}
	return s
}

// Unwrap returns the cause.
func (e *SourceError) Unwrap() error { return e.Err }

// UnknownInstanceError says that [PartnerKeys] has no key for an instance. The key of another instance is never used
// in its place: the two need not have the same one, and a wrong key is refused as if the customer's were wrong.
// It matches [ErrMissing].
type UnknownInstanceError struct {
	// Instance is the name that was asked for.
	Instance string
	// Known are the names that have a key, in ascending order.
	Known []string
}

// Error returns the instance, the known ones and the next step.
func (e *UnknownInstanceError) Error() string {
	known := "no instance has one"
	if len(e.Known) > 0 {
		quoted := slices.Clone(e.Known)
		for i, name := range quoted {
			quoted[i] = strconv.Quote(name)
		}
		known = "there are keys for " + strings.Join(quoted, ", ")
	}
	return fmt.Sprintf("keys: no partner API key for instance %q (%s): ask Braze for the key of this instance and add it by this exact name",
		e.Instance, known)
}

// Is reports whether target is [ErrMissing].
func (e *UnknownInstanceError) Is(target error) bool { return target == ErrMissing }
