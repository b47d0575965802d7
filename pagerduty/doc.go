// Package pagerduty sends events to PagerDuty's Events API v2, and loses none
// for a reason that could be put right.
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
// A [Client] serves one routing key; [Client.WithKey] gives one for another key
// over the same connections. It starts no goroutine and needs no closing.
//
// # An event is repaired, and what cannot be is refused at once
//
// PagerDuty refuses an event as a whole for one field it does not like, and
// the page is lost. So every limit of the API is kept by changing the event:
// summaries are cut, long dedup keys hashed, severities mapped, blank sources
// filled in, useless links and images left out, broken text cleaned. An event
// of more than 512 000 bytes loses first what is longest in its details, then
// more, down to its links, and says in its details what is missing.
// [Result.Repairs] lists every change. The caller's event is never changed. An
// event that nobody but the caller can mend, such as a resolve without dedup
// key, is a permanent [*Error] before anything is sent.
//
// # An error says what to do
//
// Every error of [Client.Send] is an [*Error] with a [Class]: change the event
// (permanent), send it again later (transient), send nothing under this key for
// a while (throttled), send the same event again before any other of its alert
// (ambiguous), or call an operator (config). It has PagerDuty's words in full,
// by whichever Content-Type they came, and the wait that was asked for.
// errors.Is finds context.Canceled and context.DeadlineExceeded in it when the
// caller's context ended the sending.
//
// # Two horizons
//
// Send bridges a moment: twice, within some two seconds, it tries again where no
// answer of PagerDuty's came or it was 5xx, 408 or 425, with the same bytes each time.
// It does not try again if the context would end before the next attempt.
// Everything longer is for a queue, for PagerDuty's outages last for hours. 429
// is handed up at once, unless [Options.ThrottleRetries] says otherwise.
//
// It is also for the caller to keep the order: the events of one alert must be
// sent one after the other, since a resolve that overtakes its trigger is
// dropped by PagerDuty, and the incident stays open. An accepted event has been
// queued by PagerDuty, no more: the API is asynchronous and never says what
// came of it.
//
// # Rate
//
// PagerDuty takes some 120 requests per routing key in any 60 seconds, looking
// back. The client's own limiter keeps at most [Options.PerMinute] in every such
// window, first tries and retries together, for each key and for all copies of
// the client; Send waits for its turn. It knows nothing of other processes that
// use the key, or of itself before a restart. Who keeps a budget elsewhere gives
// a [Limiter] of their own, in Options or by [Client.WithLimiter]: it is asked
// before every single request on the wire, the quick retries included, and is
// then the only one asked.
//
// # Secrets
//
// A [RoutingKey] shows as a fingerprint in whatever prints it. No error, log
// line, span or metric holds it, and texts from servers and transports are
// searched for it. Redirects are never followed, as the key would go along.
// Plain http is refused but to the loopback.
//
// # Telemetry
//
// Each attempt is logged at debug level. Each event is a span "pagerduty.send"
// with an event "attempt" per request. The metrics are pagerduty.attempts
// (requests, by class), pagerduty.attempt.duration (seconds, by class),
// pagerduty.throttled (requests) and pagerduty.repaired (events). All of
// OpenTelemetry does nothing unless the application sets providers.
//
// # Sources
//
// What is said of PagerDuty is from its developer documentation, "Events API
// v2" (Overview, Trigger Events, Change Events, Rate Limits), and its OpenAPI
// schema; where these are silent or disagree, the strictest reading is kept. A
// comparison with other clients is in docs/pagerduty-clients.md.
package pagerduty
