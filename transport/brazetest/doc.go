// Package brazetest is an in-memory fake of the endpoint that cohorts are imported into: Braze's partner cohort import,
// with the profiles, keys and limits around it. Tests send it real HTTP/1.1 requests, make things go wrong, and look at
// what happened.
//
//	server := brazetest.NewServer(t)
//	partner := server.AddPartner("tinyclues", "Tinyclues")
//	workspace := server.AddWorkspace("acme")
//	workspace.Enable(partner)
//	importKey := workspace.GenerateKey(partner)
//	_, err := workspace.AddProfile(brazetest.Profile{ExternalID: "u-17"})
//	// Let the code under test send to server.Client() with partner.Key("EU-01") and importKey, then:
//	cohort, ok := workspace.Cohort(partner, "camp-481")
//
// [Start] makes a server for programs that are no tests.
//
// # Doors
//
// [Server.Client] is an HTTP client whose connections end in the fake, in memory, whatever host the URL names. It works
// inside a testing/synctest bubble: waiting for an answer lets the bubble's time pass, and all goroutines end with the
// server. [Server.URL] is a listener on the loopback interface, for code that brings its own client. [Server.ServeHTTP]
// is the handler itself.
//
// The host of a request is the instance it goes to. On the REST host of an instance, such as rest.fra-01.braze.eu, only
// the workspaces of that instance exist; on any other host all of them do. The SDK hosts of the instances answer 404.
//
// # State
//
// A [Partner] has a slug in the path and a key for each instance. A [Workspace] is a customer: on its page for a
// partner, the partner is enabled and import keys are generated and invalidated, and its profiles live:
// [Workspace.AddProfile], [Workspace.Identify], [Workspace.AddAlias], [Workspace.AddDevice], [Workspace.Merge],
// [Workspace.Rename], [Workspace.Delete]. Cohorts come about through requests alone, as at Braze.
//
// # Rules
//
// All documented rules and limits of the two cohort paths are enforced: the fields of the bodies, 1,000 identifiers a
// request, 4 MB, the causes of a 401, the content type, and 250,000 requests a clock hour, told in the rate-limit
// headers of every answer. What Braze does not document is an [Option], whose default is the reading for which there is
// most evidence. Identifiers that match no profile are skipped in silence on the wire; [Cohort] lists them with a
// [SkipReason].
//
// # Faults
//
// [Server.Inject] makes a [Fault] happen to requests that match a [Target]: once, or as often as the [Injection] is
// told. A fault that never fires fails the test.
//
//	server.Inject(brazetest.Users().Nth(3), brazetest.AppliedThenLost())
//	server.Inject(brazetest.Users(), brazetest.LockedOnOverlap()).Always()
//	server.Inject(brazetest.AnyRequest(), brazetest.Status(503)).Times(2)
//
// # Inspection
//
// [Workspace.Cohort], [Workspace.Profiles], [Workspace.DropDown], [Workspace.MaxOverlap], [Server.Requests] and
// [Server.Counters] return copies, in an order that does not depend on chance. The request log holds neither secrets
// nor the identifiers of users; [Server.Changes] has the latter, if [KeepIdentifiers] is set. A client that has an
// answer finds the request in the log.
//
// # Time
//
// The fake uses package time alone, so testing/synctest drives the rate limit, delays and propagation. No lock is held
// across a wait.
//
// # KNOWN_DIFFERENCES
//
// What is known to differ from Braze, and what is our own choice because nothing is documented:
//
//   - Only the cohort paths are served so far. Every other path, and a trailing slash, is a 404; another method than
//     POST is a 405.
//   - The wording of error messages is the fake's own. The words by which causes are told apart are the documented
//     ones.
//   - An unknown partner slug is a 401 "Unauthorized access". Slugs are compared byte for byte.
//   - A body that is no JSON object is a 400 even before the keys are checked, since there are none. Bytes that are not
//     UTF-8 are no JSON.
//   - An empty cohort_id is a 400; its length, and that of a name, is bounded by the size of the body alone.
//   - created_at must have a date, a time of day with seconds, and an offset; other forms of ISO 8601 are a 400.
//   - null where a value is expected is a 400, as is an alias that is empty or not in the form of an object with two
//     strings. Empty external IDs and device IDs are accepted and match nobody. Blocked dummy IDs are not known, and no
//     length is enforced on identifiers.
//   - 4 MB are read as 4,000,000 bytes. Compressed bodies are a 415.
//   - An identical request changes nothing but the counters; data points are not counted.
//   - Changes are matched when they are accepted; with [PropagationDelay], a profile that appears later does not catch
//     up.
//   - Nothing locks a cohort, and no answer has a Retry-After, unless a fault does it.
//   - Merging follows the lifecycle and merge pages where Braze's pages contradict each other. Only identifiers and
//     memberships are merged, at once.
//   - There is no TLS: in memory, https URLs are served as well, but nothing is encrypted. HTTP/2 is not spoken.
//   - Partner keys differ from instance to instance unless [OneKeyFor] joins some. The format of keys is made up.
package brazetest
