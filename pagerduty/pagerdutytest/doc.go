// Package pagerdutytest is a fake of PagerDuty's Events API v2 for tests and demonstrations. It
// takes alert and change events, refuses what PagerDuty refuses with PagerDuty's words, keeps
// incidents, throttles, and fails on demand. It works with every client and needs only the standard
// library.
//
//	server := pagerdutytest.NewServer()
//	defer server.Close()
//	// ... let the program under test send to server.URL ...
//	err := server.WaitOpen(ctx, "db-1/disk")
//
// A [Fake] holds the state. A [Server] serves a Fake on a loopback address. A [Transport] is an
// http.RoundTripper over a Fake that needs no network and works inside testing/synctest. One Fake
// may have several of both.
//
// # What the fake does as PagerDuty does
//
// The sources are PagerDuty's developer documentation, "Events API v2", and its OpenAPI schema
// (PagerDuty/api-schema, reference/events-v2), unless said otherwise. Where the words of an answer
// are known from public issues and from tests of other clients, the fake uses them, with their
// misspelling.
//
//   - Events are a POST to /v2/enqueue, change events a POST to /v2/change/enqueue. The routing key
//     is read from the body only.
//   - 202 with the dedup_key; a trigger without one gets a new one. 400 with "Event object is
//     invalid" and every error. 400 with the plain text "Invalid routing key" for a key that
//     [Fake.AcceptKeys] does not list. 429 with "throttle exceeded".
//   - A routing key is 32 letters and digits. A summary has at most 1024 characters, a dedup_key
//     255, a request 512 000 bytes. PagerDuty does not define "characters": the fake counts UTF-16
//     units, the strictest meaning that lets Chinese text have the full length.
//   - 120 requests per routing key in any 60 seconds. The next one gets 429 and is not ingested.
//     See [Fake.SetRateLimit].
//   - A trigger opens an incident, or updates the open incident of its dedup_key. A resolved
//     incident stays resolved: the next trigger opens another. An acknowledge or resolve without an
//     open incident, opened under the same routing key, gets 202 and is dropped.
//   - What PagerDuty is known to ignore is ignored: fields that are not in the schema, links and
//     images inside the payload, images of change events, and everything of alert events in a
//     change event.
//   - null means absent.
//
// # Where PagerDuty's behaviour is not known
//
// There the fake is strict, so that a test fails before a page is lost:
//
//   - A value has the type of the schema. So custom_details is an object, although PagerDuty is
//     known to accept a string, which filters cannot use.
//   - The src of an image begins with https.
//   - A payload is complete, also that of a resolve.
//   - A body is valid UTF-8, and Content-Type is application/json (else 415).
//   - More than 512 000 bytes get 413.
//   - Change events under the key of a ruleset or orchestration, which begins with R, get "Invalid
//     routing key".
//
// For these, and for an unknown event_action, a dedup_key that is too long, and an invalid
// timestamp, link or image, the words of the errors are the fake's own, in PagerDuty's style.
//
// A request counts towards the rate limit if its routing key is valid, whether or not its event is.
// Requests that were throttled do not count, and neither do those that a fault keeps out.
//
// # What it leaves out
//
// One alert is one incident: the fake groups nothing. It has no orchestrations, rules or
// maintenance windows, nothing happens between the answer and the incident, nobody escalates, and
// no person changes an incident.
//
// # Faults
//
// A [Fault] is one way to fail. [Fake.Script] sets faults for the next requests one by one,
// [Fake.Outage] and [Fake.OutageBetween] for a period, [Fake.Poison] for the requests that a
// function selects. An outage comes before a poison, and a poison before the script, which then
// waits for the next request. With [Fault.IngestAfter] the fake handles a request late, after the
// client has given up.
//
// # Time
//
// The fake uses package time. Inside a testing/synctest bubble that is the bubble's time, so an
// outage of hours takes none; make the Fake and the Transport inside the bubble. A Server cannot be
// used in a bubble, because the clock of a bubble does not move while something waits for the
// network.
//
// # Concurrency and memory
//
// Everything is safe for concurrent use. Methods return copies, except for the bodies and headers
// of [Fake.Requests]. The fake keeps every request until [Fake.Reset].
//
// # Secrets
//
// A failing test prints no routing key: in requests the key is replaced by a fingerprint (see
// [KeyLabel]). Texts in an incident or change event are shown as they were sent, even if one is a
// key.
package pagerdutytest
