// Package pagerduty sends events to PagerDuty's Events API v2. It repairs events that PagerDuty
// would refuse, tries again where that helps, keeps PagerDuty's rate limit, and returns errors that
// say what to do next.
//
//	key, err := pagerduty.ParseRoutingKey(os.Getenv("PAGERDUTY_ROUTING_KEY"))
//	...
//	client, err := pagerduty.NewClient(key, nil)
//	...
//	result, err := client.Send(ctx, &pagerduty.Event{
//		Action:   pagerduty.ActionTrigger,
//		DedupKey: "db-1/disk",
//		Summary:  "disk full on db-1",
//		Source:   "db-1.example.com",
//		Severity: pagerduty.SeverityCritical,
//	})
//
// A [Client] serves one routing key. [Client.WithKey] returns a client for another key that uses
// the same connections. A client is safe for concurrent use, starts no goroutine and needs no
// Close.
//
// # Repairs
//
// PagerDuty refuses a whole event for one bad field, and then nobody is paged. So the client
// changes the event until it fits the API: it cuts summaries to 1024 characters, hashes dedup keys
// of more than 255 characters, maps severities, fills in blank sources, leaves out links and images
// that PagerDuty refuses, and cleans invalid text. It cuts an event of more than 512 000 bytes:
// first the longest texts in its details, at last its links. The details then say what was cut.
// [Result.Repairs] lists every change. The caller's event is never changed. An event that only the
// caller can correct, such as a resolve without a dedup key, is a permanent [*Error], and nothing
// is sent.
//
// # Errors
//
// Every error of [Client.Send] is an [*Error]. Its [Class] says what to do:
//
//   - permanent: change the event.
//   - transient: send the event again later.
//   - throttled: send nothing under this key for a while.
//   - ambiguous: send the same event again before any other event of its alert.
//   - config: repair the network or the configuration, then send the event again.
//
// The error has all of PagerDuty's words, whatever the Content-Type was, and the wait that
// PagerDuty asked for. errors.Is finds context.Canceled or context.DeadlineExceeded in it if the
// caller's context ended the call.
//
// # Retries
//
// Send tries again up to twice, within some two seconds, after a failed connection, a lost answer,
// 5xx, 408 or 425. Each attempt sends the same bytes. Send does not wait for an attempt that would
// start after the deadline of the context. Outages of PagerDuty can last for hours: keep the event
// in a queue for those. A 429 is returned at once, unless [Options.ThrottleRetries] is set.
//
// The caller keeps the order: send the events of one alert one after the other. PagerDuty drops a
// resolve that arrives before its trigger, and the incident stays open. PagerDuty accepts an event
// by putting it in a queue of its own. The API never says what became of it.
//
// # Rate limit
//
// PagerDuty takes about 120 requests per routing key in any 60 seconds. The client sends at most
// [Options.PerMinute] in any 60 seconds, retries included. The limit is kept per key, across all
// copies of the client; Send waits for its turn. The client does not know what other processes send
// under the key, nor what it sent before a restart. A program that has a rate limiter of its own
// passes it as a [Limiter], in Options or to [Client.WithLimiter]. The client then calls it before
// each request, retries included, and uses no other limiter.
//
// # Secrets
//
// A [RoutingKey] prints as a fingerprint. No error, log line, span or metric has the key, and the
// key is removed from texts of servers and transports. Redirects are never followed, because the
// request body has the key. Plain http is refused, except to the loopback.
//
// # Telemetry
//
// Each attempt is one log line at debug level. Each event is a span "pagerduty.send" with one span
// event "attempt" per request. The metrics are pagerduty.attempts (requests, by class),
// pagerduty.attempt.duration (seconds, by class), pagerduty.throttled (requests) and
// pagerduty.repaired (events). OpenTelemetry does nothing unless the application sets providers.
//
// # Sources
//
// Statements about PagerDuty come from its developer documentation, "Events API v2" (Overview,
// Trigger Events, Change Events, Rate Limits), and from its OpenAPI schema. Where these are silent
// or disagree, the strictest reading is used. docs/pagerduty-clients.md compares this client with
// others.
package pagerduty
