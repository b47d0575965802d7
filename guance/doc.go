// Package guance decodes the webhooks of Guance (观测云, also sold as TrueWatch).
//
// [Decode] turns a request body into events. An [Event] has a typed field for every documented
// field, and keeps everything else:
//
//	events, err := guance.Decode(body, r.Header.Get("Content-Type"))
//	if err != nil {
//		// *SyntaxError: not JSON; *LimitError: too large, too deep, too many.
//	}
//	for _, ev := range events {
//		fmt.Println(ev.ProblemKey(), ev.State(), ev.Level(), ev.Title)
//	}
//
// # What an event says
//
//   - [Event.ProblemKey] names the problem. It is the same for a fault, its repeats and its
//     recovery, and it is never empty.
//   - [Event.State] says whether the problem is there, is gone, or neither.
//   - [Event.Level] says how bad it is.
//   - [Event.Kind] says what sort of event it is, for display and for matching. Use State, and not
//     Kind, to find out whether a problem has recovered.
//
// # What is accepted
//
// Guance documents one body, abridged, and sends several: installations differ by years, stored
// events have other types than sent ones, and the bodies of merged notifications, Issues, Incidents
// and test messages are not documented. Guance also switches off a webhook that keeps failing. So
// every body that is JSON decodes:
//
//   - A field that is not documented is kept in [Event.Extra].
//   - A field of a wrong type is left empty, kept in [Event.Extra], and named in [Event.Invalid].
//   - A value that breaks a documented rule is kept in its field and named in [Event.Invalid].
//   - A body that is not an alert is an event of [KindUnknown], with its bytes in [Event.Raw] and
//     the reasons in [Event.Invalid].
//
// Only two bodies are errors: one that is not JSON ([SyntaxError]), and one that exceeds
// [MaxBodySize], [MaxDepth], [MaxEvents] or [MaxMembers] ([LimitError]).
//
// # Memory and concurrency
//
// Decode copies the body once. The Raw, the raw JSON fields and the Extra of its events share that
// copy, and never the caller's buffer, so the last event keeps the whole copy in memory. JSON that
// was inside a JSON string has a copy of its own. Decode allocates at most a small multiple of the
// body, and a few kilobytes per event. An event is safe for concurrent reading; its methods do not
// change it.
//
// # Sources
//
// Comments name their sources by the short names below. Paths are in the repository
// GuanceCloud/guance-docs on GitHub, the source of https://docs.guance.com.
//
//   - webhook page: docs/zh/monitoring/notify-target-webhook.md; newest:
//     https://docs.truewatch.com/monitoring/notify-target-webhook/
//   - older notification target page: docs/zh/monitoring/notify-object.md
//   - integration guide: https://func.guance.com/doc/practice-guance-alert-webhook-integration/
//   - event fields: docs/zh/events/index.md of 2025; older: its versions of 2023 and 2024 and
//     docs/en/events/index.md; newest: https://docs.truewatch.com/events/
//   - template variables: docs/zh/monitoring/event-template.md
//   - level page: docs/zh/monitoring/monitor/event-level-description.md; the newest one has the
//     level fatal and the security levels
//   - threshold monitor page: docs/zh/monitoring/monitor/threshold-detection.md
//   - sample: the captured body in docs/zh/integrations/pagerduty.md
//   - OpenAPI: docs/zh/open-api; events are under keyevent, external ones under checker/receive.md,
//     Issues under issue
//   - release notes: docs/zh/release-notes/index.md
//   - Issue page: docs/zh/exception/issue.md
//   - DataKit: https://docs.guance.com/datakit/, its change events and its Zabbix exporter
//   - Incident pages: https://docs.truewatch.com/incidents/
//   - on-call script: feishu_oncall/oncall.py in the repository GuanceDemo/best-practices-scripts
//   - Terraform provider: the repository GuanceCloud/terraform-provider-guance
//
// Where no document is the source, the comment says so.
package guance
