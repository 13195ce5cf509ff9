// Package identity says who a cohort change is about.
//
// The cohort endpoints know a user by one of three identifiers: the external ID, an alias, or the ID of a device. They
// skip silently whatever matches no user, so the choice of the identifier decides whether a change arrives. An [ID] is
// one such identifier, a [Person] is what the caller knows of one user, and [Rules] choose the ID of a Person:
//
//	rules := identity.Rules{AliasLabels: []string{"crm"}}
//	id, err := rules.Choose(identity.Person{ExternalID: "u-17", DeviceIDs: []string{"5b2c9f0e"}})
//
// [Rules.IDs] does so for a whole source and passes on, row by row, what it has to reject.
//
// # What matches
//
//   - A user with an external ID is identified. Such a user matches by external ID or alias, and never by device ID,
//     even if the profile began as an anonymous one on that device.
//   - A user without an external ID is anonymous. Such a user matches by device ID.
//   - Whether the alias of an anonymous user matches, and whether an external ID does that was renamed since, is
//     undocumented. [Rules] has a field for each, whose zero value is the likelier reading.
//
// All comparisons are of bytes, so case counts. [Rules.Match] applies this to a [Profile] and says why.
//
// # Two identifiers are two members
//
// The endpoint cannot be asked which identifiers belong to one user, so for whoever keeps a record of what was sent,
// the same user under another identifier is another member. A choice that changes, because a person was identified or
// because the Rules changed, costs one removal and one addition. [Rules.Fingerprint] shows whether Rules changed.
//
// # Personal data
//
// Identifiers are personal data. ID, [Alias], [Person] and [Profile] show no identifier when they are printed or logged,
// and no error of this package holds one. Package fmt can call the methods of a value only where it can reach them: an
// ID in an unexported field of some other type is printed like any struct, so such a type needs a Format method of its
// own.
package identity
