package brazetest

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"time"

	"github.com/cohortkit/cohortkit/segment"
)

// The documented limits that the fake enforces.
const (
	// MaxIdentifiers is how many identifiers one users request may hold, over all kinds and all change objects.
	MaxIdentifiers = 1000

	// MaxUsers is how many users one REST call may name, and how many recipients a send may have.
	MaxUsers = 50

	// MaxTracked is how many objects a call of /users/track may have, over all its arrays.
	MaxTracked = 75

	// MaxBodyBytes is how long a body may be. The limits page of Braze says 4 MB; the fake takes the smaller reading of that.
	MaxBodyBytes = 4_000_000

	// DefaultRateLimit is how many cohort requests a clock hour allows, by the cohort import page.
	DefaultRateLimit = 250_000
)

// Option changes what the fake does where the contract is silent. The order of options does not matter, but an option
// that is given twice counts as given last.
type Option interface{ apply(*config) }

type option func(*config)

func (o option) apply(c *config) { o(c) }

type config struct {
	successStatus int
	successBody   string

	refuseUnnamed      bool
	refuseEmptyChanges bool
	refuseEmptyLists   bool
	acceptBare         bool
	rejectUnknown      bool
	order              ChangeOrder
	countDistinct      bool

	aliasIdentifiedOnly bool
	ignoreShared        bool
	ignoreDeprecated    bool
	dropOnIdentify      bool
	dropOnMerge         bool

	bodyFirst    bool
	countRefused bool
	limits       map[bucket]int // what is not here has its default
	limitsOther  bool           // a limit for paths that are not served
	perPartner   bool
	early        bool // onboarded before fields_to_export was required
	denyUnknown  bool
	blocked      []string // external IDs

	semantics       segment.Semantics
	propagation     time.Duration
	keepIdentifiers bool
}

func defaultConfig() config {
	return config{successStatus: http.StatusCreated, successBody: `{"message":"success"}`, limits: make(map[bucket]int)}
}

func (c *config) validate() error {
	var errs []error
	if c.successStatus < 200 || c.successStatus > 299 {
		errs = append(errs, fmt.Errorf("the success status %d is no 2xx: use 200, 201 or 202", c.successStatus))
	}
	if c.order > RemovalsFirst {
		errs = append(errs, errors.New("unknown change order: use InOrder, AddsFirst or RemovalsFirst"))
	}
	if c.propagation < 0 {
		errs = append(errs, errors.New("the propagation delay is negative: use 0 or more"))
	}
	if c.bodyFirst && c.countRefused {
		errs = append(errs, errors.New("CheckBodyFirst and CountRefused exclude each other: "+
			"before the keys are known there is no limit to draw on: use one of them"))
	}
	if c.limitsOther {
		errs = append(errs, errors.New("a path that is not served has no rate limit: name an operation"))
	}
	for _, requests := range c.sizes() {
		if requests < 1 {
			errs = append(errs, fmt.Errorf("a rate limit of %d lets nothing through: use 1 or more", requests))
		}
	}
	return errors.Join(errs...)
}

// sizes are the rate limits to enforce.
func (c *config) sizes() (sizes [len(buckets)]int) {
	for i, b := range buckets {
		sizes[i] = b.requests
	}
	if c.early {
		sizes[exportBucket] = 2_500
	}
	for b, requests := range c.limits {
		sizes[b] = requests
	}
	return sizes
}

// Success sets the status and the body of an accepted cohort request. Default: 201 and {"message":"success"}. Both are
// undocumented; this is what the tests of a published connector expect. The status must be a 2xx.
func Success(status int, body string) Option {
	return option(func(c *config) { c.successStatus, c.successBody = status, body })
}

// RefuseUnnamed makes a users request to a cohort that was never named a 400. Default: it is accepted, and the cohort
// shows up in the dashboard's filter once it is named. Undocumented.
func RefuseUnnamed() Option { return option(func(c *config) { c.refuseUnnamed = true }) }

// RefuseEmptyChanges makes an empty cohort_changes array a 400. Default: accepted; a published connector checks its
// credentials that way. Undocumented.
func RefuseEmptyChanges() Option { return option(func(c *config) { c.refuseEmptyChanges = true }) }

// RefuseEmptyLists makes an empty user_ids, device_ids or aliases array a 400. Default: accepted; a published connector
// sends them. Undocumented.
func RefuseEmptyLists() Option { return option(func(c *config) { c.refuseEmptyLists = true }) }

// AcceptBareChanges accepts a change object that has none of the three lists, as one without effect. Default: a 400.
// Undocumented.
func AcceptBareChanges() Option { return option(func(c *config) { c.acceptBare = true }) }

// RejectUnknownFields makes a field that the contract does not know a 400, which catches a misspelt should_remove.
// Default: such fields are ignored, as an endpoint that may grow fields most likely does. Undocumented.
func RejectUnknownFields() Option { return option(func(c *config) { c.rejectUnknown = true }) }

// ChangeOrder is the order in which the change objects of one request take effect.
type ChangeOrder uint8

// The orders. Which one Braze follows is undocumented.
const (
	InOrder       ChangeOrder = iota // as they stand in the request
	AddsFirst                        // so that an identifier in both kinds ends up out
	RemovalsFirst                    // so that an identifier in both kinds ends up in
)

// ApplyChanges sets the order in which change objects of one request take effect. Default: [InOrder].
func ApplyChanges(o ChangeOrder) Option { return option(func(c *config) { c.order = o }) }

// CountDistinct makes the limit of 1,000 count distinct identifiers. Default: every entry counts, repeated ones too.
// Undocumented.
func CountDistinct() Option { return option(func(c *config) { c.countDistinct = true }) }

// AliasesMatchIdentifiedOnly makes an alias match only a profile that has an external ID. Default: it matches anonymous
// and alias-only profiles too. Undocumented: the partner pages name aliases with identified users only.
func AliasesMatchIdentifiedOnly() Option {
	return option(func(c *config) { c.aliasIdentifiedOnly = true })
}

// IgnoreSharedDevices makes a device ID match nobody when an identified profile carries it too. Default: the anonymous
// profiles that carry it match. Undocumented.
func IgnoreSharedDevices() Option { return option(func(c *config) { c.ignoreShared = true }) }

// IgnoreDeprecatedIDs makes deprecated external IDs match nobody. Default: they match, as they resolve elsewhere in
// Braze until they are removed. Undocumented for cohort import.
func IgnoreDeprecatedIDs() Option { return option(func(c *config) { c.ignoreDeprecated = true }) }

// DropMembershipOnIdentify makes a profile leave its cohorts when it is identified. Default: it stays in them, and is merged
// into the known profile along with them when there is one. Undocumented.
func DropMembershipOnIdentify() Option { return option(func(c *config) { c.dropOnIdentify = true }) }

// DropMembershipOnMerge makes a merge leave the kept profile in its own cohorts only. Default: it is in the cohorts of
// both. Undocumented.
func DropMembershipOnMerge() Option { return option(func(c *config) { c.dropOnMerge = true }) }

// CheckBodyFirst answers 400 before 401: the fields of a cohort request are checked before the keys. Default: the keys are
// checked first, as soon as the body is a JSON object that could carry them. Undocumented. REST calls, whose key is in the
// header, do not change.
func CheckBodyFirst() Option { return option(func(c *config) { c.bodyFirst = true }) }

// CountRefused makes a request with good keys draw on the rate limit even if it is refused with a 400. Default: a 400 is
// answered before the accounting. Requests refused with a 401 never draw on it. Undocumented.
func CountRefused() Option { return option(func(c *config) { c.countRefused = true }) }

// RateLimit sets how many cohort requests each clock hour allows. Default: [DefaultRateLimit]. At least 1.
func RateLimit(requests int) Option {
	return option(func(c *config) { c.limits[cohortBucket] = requests })
}

// RateLimitOf sets how many requests the rate limit of an operation allows in its window, which stays as long as it is.
// Windows begin on the clock hour, minute, and so on; only the first is documented.
// Operations that share a limit share the change. At least 1. The defaults are those of Braze's limits page, for each
// workspace: 250,000 in an hour, shared, for all that have none of their own; 20,000 in a minute, shared, for aliases,
// identify, merge and delete; 1,000 in a minute each to rename and to remove external IDs; 3,000 in three seconds for
// track. An export of users has 250 in a minute, or 40 in a second if it states fields_to_export and leaves out
// campaigns_received and canvases_received; RateLimitOf changes both.
func RateLimitOf(o Operation, requests int) Option {
	return option(func(c *config) {
		if o == OtherPath || int(o) >= len(endpoints) {
			c.limitsOther = true
			return
		}
		c.limits[endpoints[o].bucket] = requests
		if o == ExportUsers {
			c.limits[narrowExportBucket] = requests
		}
	})
}

// BroadcastLimit sets how many broadcasts a minute a workspace may send in all, and to each unique audience: the same
// campaign or Canvas, segment, and Connected Audience. Default: 250 and 10. At least 1 each. An older revision of the
// limits page has the first alone.
func BroadcastLimit(requests, perAudience int) Option {
	return option(func(c *config) {
		c.limits[broadcastBucket], c.limits[audienceBucket] = requests, perAudience
	})
}

// EarlyOnboarding makes the workspaces those of customers that Braze onboarded before 22 August 2024: an export of users need
// not state fields_to_export, and has 2,500 requests a minute. Default: it must, and has 250.
func EarlyOnboarding() Option { return option(func(c *config) { c.early = true }) }

// DenyUnknownPaths answers 403 "Access Denied" to a path that the fake does not serve, such as one with a trailing slash,
// if the REST key is valid. Default: 404. Braze's pages name both.
func DenyUnknownPaths() Option { return option(func(c *config) { c.denyUnknown = true }) }

// AudienceSemantics sets how the Connected Audience of a send is read where nothing is documented. Default: the zero value of
// [segment.Semantics]. A segment carries its own.
func AudienceSemantics(semantics segment.Semantics) Option {
	return option(func(c *config) { c.semantics = semantics })
}

// BlockExternalIDs puts external IDs on the list of dummies that /users/track refuses. Default: none, as the real list is
// undocumented.
func BlockExternalIDs(ids ...string) Option {
	return option(func(c *config) { c.blocked = slices.Clone(ids) })
}

// LimitPartners makes all workspaces of an instance share one rate limit per partner. Default: each workspace has its own
// with each partner. Whose limit it is, is undocumented.
func LimitPartners() Option { return option(func(c *config) { c.perPartner = true }) }

// PropagationDelay sets how long an accepted change takes to become visible in the members of a cohort, and so in segments
// and to sends. REST calls take effect at once. Default: none.
// Braze speaks of 10 to 100 ms as usual, and recommends five minutes between calls that depend on each other.
func PropagationDelay(d time.Duration) Option { return option(func(c *config) { c.propagation = d }) }

// KeepIdentifiers makes the fake keep the identifiers of every users request it answers, for [Server.Changes]. Default: they
// are forgotten with the request. The cost is the memory of all identifiers sent.
func KeepIdentifiers() Option { return option(func(c *config) { c.keepIdentifiers = true }) }
