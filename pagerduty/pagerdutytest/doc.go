// Package pagerdutytest is a fake of PagerDuty's Events API v2: it takes alert
// and change events as PagerDuty does, refuses what PagerDuty refuses in
// PagerDuty's words, keeps incidents, throttles, and fails on demand. It is
// for the tests and demonstrations of any program that sends to PagerDuty,
// with whichever client.
//
// A [Fake] is the state. A [Server] puts it on a loopback address; a
// [Transport] is the same without a network, an http.RoundTripper for
// testing/synctest. One Fake may stand behind several of both. It needs the
// standard library only and does not import package testing.
//
//	server := pagerdutytest.NewServer()
//	defer server.Close()
//	// ... have the program under test send to server.URL ...
//	err := server.WaitOpen(ctx, "db-1/disk")
//
// # What is as PagerDuty has it
//
// The source is PagerDuty's developer documentation, "Events API v2", and its
// OpenAPI schema (PagerDuty/api-schema, reference/events-v2), unless said
// otherwise. Answers whose words were seen in the wild (in public issues and
// in tests of other clients) have those words, misspelling included.
//
//   - Events are a POST to /v2/enqueue, change events a POST to
//     /v2/change/enqueue. The routing key is looked for in the body, and
//     nowhere else.
//   - 202 with the dedup_key, one made up if a trigger brings none; 400 with
//     "Event object is invalid" and every error found; 400 with the plain text
//     "Invalid routing key" for a key that [Fake.AcceptKeys] does not list;
//     429 "throttle exceeded".
//   - A routing key is 32 letters and digits. A summary has at most 1024
//     characters, a dedup_key 255, a request 512 000 bytes. "Characters" are
//     not defined: the fake counts UTF-16 units, the strictest reading that
//     lets CJK text keep its full length.
//   - 120 requests per routing key in any 60 seconds, looking back; the next is
//     answered with 429 and not ingested. See [Fake.SetRateLimit].
//   - A trigger opens an incident, or adds to the open one of its dedup_key and
//     replaces what it shows. Once resolved, an incident stays so: the next
//     trigger opens another. An acknowledge or resolve that finds no open
//     incident of its dedup_key, opened under the same routing key, is
//     accepted with 202 and dropped.
//   - What is known to be ignored is ignored: fields that the schema does not
//     know, links and images inside of payload, images of change events, and
//     everything that only alert events have when it comes with a change event.
//   - null is the absence of a value.
//
// # Where PagerDuty's behaviour is not known
//
// The fake is then the stricter of what it could be, because a test should
// fail before a page is lost:
//
//   - A value has the type the schema gives it. That is an object for
//     custom_details, though a string is known to be let through, and is then
//     of no use for filters.
//   - The src of an image begins with https.
//   - A payload is complete whenever there is one, with a resolve also.
//   - A body is valid UTF-8, and Content-Type is application/json (else 415).
//   - More than 512 000 bytes are answered with 413.
//   - Change events under the key of a ruleset or orchestration, which begins
//     with R, get "Invalid routing key".
//
// The errors for these, and for an unknown event_action, a dedup_key that is
// too long, and a timestamp, link or image that is not as documented, have
// words of the fake's own, in PagerDuty's style.
//
// A request counts toward the rate once its routing key is known to be good,
// whether or not the event is. One that was throttled does not count, and
// neither does one that met a fault which keeps the event out.
//
// # What it leaves out
//
// One alert is one incident here: nothing is grouped, no orchestration, rule or
// maintenance window looks at an event, and nothing happens between the answer
// and the incident. Nobody escalates, and no incident is touched by hand.
//
// # Faults
//
// A [Fault] is one way to fail. [Fake.Script] sets faults for the next requests
// one by one, [Fake.Outage] and [Fake.OutageBetween] for a stretch of time,
// [Fake.Poison] for the requests that a function picks. If several apply, an
// outage comes before a poison and a poison before the script, which then
// waits for the next request. [Fault.IngestAfter] has a request handled late,
// after the client has given up on it.
//
// # Time
//
// Time is that of package time. Inside a testing/synctest bubble it is the
// bubble's, so that an outage of hours takes no time at all; make the Fake and
// the Transport inside the bubble. A Server cannot be used there, because
// waiting for a network does not let a bubble's clock move.
//
// # Concurrency and memory
//
// Everything may be used from several goroutines at once. Answers to questions
// are copies, but for the bodies and headers of [Fake.Requests]. Every request
// is kept until [Fake.Reset].
//
// # Secrets
//
// No routing key is kept where a failing test would print it: it is replaced
// with a fingerprint (see [KeyLabel]) in whatever a request holds. An incident
// or change event shows what was said in it, also if that was a key.
package pagerdutytest
