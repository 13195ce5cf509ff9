// Package keys holds the secrets of a partner cohort import and says where they come from.
//
// A cohort import travels with two secrets in its body: the partner API key, which Braze gives to the partner, and the
// data import key, which the customer generates on the partner's page of the dashboard. The REST calls that may follow
// an import carry a third one, the REST API key of a workspace. Each has a type of its own, [PartnerKey], [ImportKey]
// and [RESTKey], so that the compiler notices when one is handed over in place of another.
//
// # Keys do not leak
//
// A key prints as a fixed text under every verb of package fmt, in log/slog, in JSON, XML and any other text encoding,
// and cannot be written as a gob. It is never decoded either: whoever reads a configuration reads a string and calls
// the constructor. Reveal is the only way out, and Fingerprint gives a short text by which two logs can be compared.
// The package writes no secret to disk.
//
// Two keys are equal by == when their texts are equal. The zero value is the absent key.
//
// # Where an import key comes from
//
// A [Source] is asked for the import key before each request, so a key can be replaced while an import runs. A plain
// ImportKey is a Source that never changes; [Env], [File] and [Func] read it elsewhere. A Source that is a [Listener] too
// hears how each key fared. [Ring] is one that rotates: it takes in the next key, promotes it once it is verified, and keeps the old one as long as
// it may be needed, so that no request is lost in between.
//
// A partner has one key for each group of instances. [PartnerKeys] finds it by the name of the instance and fails when
// there is none; it never answers with the key of another region. [Credentials] puts it all together.
//
// # The endpoint's side
//
// An [Issuer] is what stands behind the partner's page of a dashboard: it generates import keys, lists them by
// fingerprint, invalidates them and tells whether a received key is one of its own. It keeps hashes alone.
package keys
