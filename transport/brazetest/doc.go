// Package brazetest is an in-memory fake of the endpoint that cohorts are imported into: Braze's partner cohort import,
// with the profiles, keys and limits around it, and the REST calls that follow an import. Tests send it real HTTP/1.1
// requests, make things go wrong, and look at what happened.
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
// What the marketer does with the cohort comes next: a segment, a campaign that it is the target of, and a call that
// triggers the campaign.
//
//	spring, err := segment.New(segment.Cohort("Tinyclues").Includes("Spring sale"))
//	id := workspace.AddSegment("Spring", spring)
//	campaign := workspace.AddCampaign("Spring mail", brazetest.TargetSegment(id))
//	restKey := workspace.GenerateRESTKey("campaigns.trigger.send")
//	// Let the code under test trigger the campaign, then:
//	reached := workspace.Sends()[0].ExternalIDs()
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
// A workspace also has REST keys with permissions, segments ([Workspace.AddSegment]), and campaigns and Canvases that
// the API can trigger ([Workspace.AddCampaign], [Workspace.AddCanvas]). A segment is evaluated by package segment on
// the profiles and cohorts as they are when somebody asks.
//
// # Calls
//
// The [Operation] values list the paths that are served. REST calls are let in by a bearer key of the workspace with
// the permission of the path. They list and show segments, send, export users by their IDs, and lead the lives of users
// over the wire: track, aliases, identify, merge, delete, renaming of external IDs. A send reaches nobody, of course:
// who would have been reached is in [Workspace.Sends].
//
// # Rules
//
// All documented rules and limits are enforced: the fields of the bodies, 1,000 identifiers a cohort request and 50 a
// call, 4 MB, the causes of a 401, permissions, the content type, and the rate limits, told in the headers of every
// answer. What Braze does not document is an [Option], whose default is the reading for which there is most evidence.
// Identifiers that match no profile are skipped in silence on the wire; [Cohort] lists them with a [SkipReason].
//
// # Faults
//
// [Server.Inject] makes a [Fault] happen to requests that match a [Target]: once, or as often as the [Injection] is
// told. A fault that never fires fails the test.
//
//	server.Inject(brazetest.Users().Nth(3), brazetest.AppliedThenLost())
//	server.Inject(brazetest.Users(), brazetest.LockedOnOverlap()).Always()
//	server.Inject(brazetest.AnyRequest(), brazetest.Status(503)).Times(2)
//	server.Inject(brazetest.To(brazetest.ListSegments), brazetest.HTML(502))
//	server.Inject(brazetest.ToSends(), brazetest.AppliedThenLost())
//
// # Inspection
//
// [Workspace.Cohort], [Workspace.Profiles], [Workspace.DropDown], [Workspace.SegmentMembers], [Workspace.View],
// [Workspace.Sends], [Workspace.MaxOverlap], [Server.Requests] and [Server.Counters] return copies, in an order that
// does not depend on chance. The request log holds neither secrets nor the identifiers of users; [Server.Changes] has
// the latter, if [KeepIdentifiers] is set. A client that has an answer finds the request in the log.
//
// # Time
//
// The fake uses package time alone, so testing/synctest drives the rate limit, delays and propagation. No lock is held
// across a wait.
//
// # KNOWN_DIFFERENCES
//
// What is known to differ from Braze, and what is our own choice because nothing is documented. Everywhere:
//
//   - The wording of error messages is the fake's own. The words by which causes are told apart are the documented
//     ones.
//   - A request is refused first for its path, which is a 404, then for its method, a 405, its length and its content type.
//     4 MB are read as 4,000,000 bytes. Compressed bodies are a 415.
//   - Limits by the minute or by seconds reset on the clock too, where only the clock hour is documented. No answer has a
//     Retry-After unless a fault does it.
//   - There is no TLS: in memory, https URLs are served as well, but nothing is encrypted. HTTP/2 is not spoken.
//   - Partner keys differ from instance to instance unless [OneKeyFor] joins some. The format of keys is made up.
//
// Of cohort requests:
//
//   - An unknown partner slug is a 401 "Unauthorized access". Slugs are compared byte for byte.
//   - A body that is no JSON object is a 400 even before the keys are checked, since there are none. Bytes that are not
//     UTF-8 are no JSON.
//   - An empty cohort_id is a 400; its length, and that of a name, is bounded by the size of the body alone.
//   - created_at must have a date, a time of day with seconds, and an offset; other forms of ISO 8601 are a 400.
//   - null where a value is expected is a 400, as is an alias that is empty or not in the form of an object with two
//     strings. Empty external IDs and device IDs are accepted and match nobody, and no length is enforced.
//   - An identical request changes nothing but the counters; data points are not counted.
//   - Changes are matched when they are accepted; with [PropagationDelay], a profile that appears later does not catch
//     up.
//   - Nothing locks a cohort unless a fault does it.
//
// Of REST calls:
//
//   - Only those of [Operation] are served: no lists of campaigns and Canvases, no analytics, no export of a segment, no
//     schedules, no /sends/id/create. A trailing slash is a 404 too, unless [DenyUnknownPaths].
//   - A call is refused for its key, then for its permission, its fields, and the rate limit last. Whoever has a good key
//     is told what is left of the limit. There is no IP allow-list, and no plan that leaves something out.
//   - No other field than those documented is looked at; null is as good as absent, and a duplicate field counts as given
//     last. An empty batch is a 400.
//   - All POST calls answer 201 but merge, which answers 202; GET calls answer 200. They take effect at once, whatever the
//     [PropagationDelay], and their items in the order of the request.
//   - Where a call draws on two rate limits, the headers are those of the tighter one. A call with a Connected Audience
//     counts as a broadcast, even to recipients, who must be in the audience. An audience with a regular expression that Go
//     cannot run is a 400, as is one that breaks a rule of package segment.
//   - Who is reached follows the target audience alone; subscriptions only count in /messages/send, by the channels of
//     its messages, and unknown ones as subscribed. Frequency caps, devices, addresses and the content of messages are
//     not looked at; nor are message variants and attachments. A send_id need not have been created.
//   - The attributes of a recipient are set before it is seen who is reached, on a profile that was there already too, and
//     even if the campaign is stopped.
//   - A user in several target segments must be in all of them. Archived and paused campaigns accept triggers as
//     Canvases do. An unknown Canvas is an "Invalid Campaign ID" too.
//   - Of the default attributes only e-mail, phone and the two subscriptions are kept, of events and purchases nothing.
//     Nested custom attributes, and arrays of anything but strings, are left out in silence; lengths of attributes are
//     not limited. An app has no sessions to count: a profile names its apps, and one time for all of them.
//   - /users/track answers 201 with minor errors even if no object is good. Of several users with one e-mail address or
//     phone number it means the one most recently updated. It alone enforces the lengths of identifiers, and the list of
//     [BlockExternalIDs].
//   - /users/alias/* and /users/identify count every item, /users/delete the profiles it found. An alias is not renamed to
//     one in use, which is a success. An export lists unknown aliases as "label:name".
//   - /users/identify gives an external ID that is unknown to the profile, as its own page says, takes over devices too, and
//     leaves a profile that has an external ID as it is.
//   - Merging follows the lifecycle and merge pages where Braze's pages contradict each other. All merges fill in what is
//     missing as one, and sum nothing up. Nobody is in a Global Control Group, and no phone number is invalid.
//   - /users/delete wants e-mail addresses and phone numbers as objects with a prioritization, of any value.
//     /users/external_ids/rename lists the new IDs.
package brazetest
