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
// is JSON always decodes: a field of a wrong type is left empty, kept in
// [Event.Extra] and named in [Event.Invalid], a field that nobody documented is
// kept in [Event.Extra], a value that breaks a rule of the documents is kept and
// named in [Event.Invalid], and a body that is no alert at all becomes an event
// of [KindUnknown] with its bytes in [Event.Raw] and the reasons in
// [Event.Invalid]. Only two things are refused, with a typed error: what is not
// JSON ([SyntaxError]), and what exceeds [MaxBodySize], [MaxDepth], [MaxEvents]
// or [MaxMembers] ([LimitError]).
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
// Extra share that copy and never the caller's buffer. JSON that was inside a
// JSON string has a copy of its own. Events of one body share one copy, so the
// last of them keeps it alive. What Decode allocates is bounded by a small
// multiple of the body and a few kilobytes for each event. An event is safe for
// concurrent reading; the methods never change it.
//
// # Sources
//
// Comments cite the documents they rest on by short names. Paths are those of
// the repository GuanceCloud/guance-docs on GitHub, the source of
// https://docs.guance.com.
//
//   - webhook page: docs/zh/monitoring/notify-target-webhook.md; the newest one
//     is https://docs.truewatch.com/monitoring/notify-target-webhook/
//   - older notification target page: docs/zh/monitoring/notify-object.md
//   - integration guide:
//     https://func.guance.com/doc/practice-guance-alert-webhook-integration/
//   - event fields: docs/zh/events/index.md of 2025; the older ones are its
//     versions of 2023 and 2024 and docs/en/events/index.md, the newest
//     https://docs.truewatch.com/events/
//   - template variables: docs/zh/monitoring/event-template.md
//   - level page: docs/zh/monitoring/monitor/event-level-description.md; the
//     newest one has the level fatal and the security levels
//   - threshold monitor page: docs/zh/monitoring/monitor/threshold-detection.md
//   - sample: the captured body in docs/zh/integrations/pagerduty.md
//   - OpenAPI: docs/zh/open-api; events are under keyevent, external ones under
//     checker/receive.md, Issues under issue
//   - release notes: docs/zh/release-notes/index.md
//   - Issue page: docs/zh/exception/issue.md
//   - DataKit: https://docs.guance.com/datakit/, its change events and its
//     Zabbix exporter
//   - Incident pages: https://docs.truewatch.com/incidents/
//   - on-call script: feishu_oncall/oncall.py in the repository
//     GuanceDemo/best-practices-scripts
//   - Terraform provider: the repository GuanceCloud/terraform-provider-guance
//
// What rests on no document says so.
package guance
