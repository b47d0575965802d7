// Package guance reads what Guance (观测云, also sold as TrueWatch) sends to a
// custom webhook.
//
// [Decode] turns a request body into events. An [Event] has a typed field for
// everything Guance documents, and keeps everything else:
//
//	events, err := guance.Decode(body, r.Header.Get("Content-Type"))
//	if err != nil {
//		// *SyntaxError: not JSON; *LimitError: too large, too deep, too many.
//	}
//	for _, ev := range events {
//		fmt.Println(ev.ProblemKey(), ev.State(), ev.Level(), ev.Title)
//	}
//
// # Lenient in types, strict in size
//
// Guance documents one body, abridged, and sends several: installations differ
// by years, the stored copy of an event has other types than the sent one, and
// aggregated notifications, Issues, Incidents and test messages are documented
// nowhere. Guance also switches off a target that keeps failing. So a body that
// is JSON always decodes: a field of a wrong type is left empty and reported in
// [Event.Invalid], a field that nobody documented is kept in [Event.Extra], and
// a body that is no alert at all becomes an event of [KindUnknown] with its
// bytes in [Event.Raw]. Only three things are refused, with a typed error: what
// is not JSON ([SyntaxError]), and what exceeds [MaxBodySize], [MaxDepth] or
// [MaxEvents] ([LimitError]).
//
// # What an event says
//
//   - [Event.ProblemKey] names what the event is about. It is the same for a
//     fault, its repeats and its recovery, and it is never empty.
//   - [Event.State] says whether that problem is there, gone, or not spoken of.
//   - [Event.Level] says how bad it is.
//   - [Event.Kind] says what sort of event it is, for display and for matching.
//     Never decide by it whether a problem has recovered.
//
// # Memory and concurrency
//
// Decode copies the body once; an event's Raw, its raw JSON fields and its
// Extra share that copy and never the caller's buffer. Events of one body share
// one copy, so the last of them keeps it alive. An event is safe for concurrent
// reading; the methods never change it.
//
// # Sources
//
// Comments cite the documents they rest on by short names: "webhook page" is
// https://docs.guance.com/en/monitoring/notify-target-webhook, "event fields"
// the field list of https://docs.guance.com/events/, "template variables" the
// event template page of the monitoring chapter, "level page"
// https://docs.guance.com/en/monitoring/monitor/event-level-description/,
// "integration guide"
// https://func.guance.com/doc/practice-guance-alert-webhook-integration/,
// "sample" the captured body in the vendor's PagerDuty integration page, and
// "OpenAPI" the keyevent chapter of the OpenAPI reference. "Observed" marks what
// the sample shows and no page explains.
package guance
