package pagerdutysink

import (
	"cmp"
	"maps"
	"slices"
	"strings"

	"github.com/guance-relay/guance-relay/guance"
	"github.com/guance-relay/guance-relay/pagerduty"
)

// event returns the alert for an event of a problem, or why the event is ignored.
func (s *Sink) event(e *guance.Event, problem string) (*pagerduty.Event, string) {
	action, severity, reason := s.action(e)
	if reason != "" {
		return nil, reason
	}
	_, workspace := e.Workspace()
	ev := &pagerduty.Event{
		Action:    action,
		DedupKey:  problem,
		Summary:   summary(e),
		Source:    source(e),
		Severity:  severity,
		Timestamp: e.Time(),
		Component: e.DimensionTags["service"],
		Group:     e.MonitorName,
		Class:     class(e),
		Details:   details(e),
		Client:    strings.TrimSpace("Guance " + workspace),
		ClientURL: e.Link(),
	}
	ev.Links = links(e)
	if s.opts.Map != nil && !s.opts.Map(e, ev) {
		return nil, "Options.Map returned false"
	}
	return ev, ""
}

// isChange reports whether the event is sent as a change event.
func (s *Sink) isChange(e *guance.Event) bool {
	return s.opts.Changes && (e.Kind() == guance.KindChange || e.Kind() == guance.KindAudit)
}

// change returns the change event for an event.
func change(e *guance.Event) *pagerduty.ChangeEvent {
	return &pagerduty.ChangeEvent{
		Summary: summary(e), Source: source(e), Timestamp: e.Time(), Details: details(e), Links: links(e),
	}
}

func summary(e *guance.Event) string {
	return cmp.Or(strings.TrimSpace(e.Title), strings.TrimSpace(e.Message),
		strings.TrimSpace(e.CheckerName), "Guance alert")
}

func links(e *guance.Event) []pagerduty.Link {
	if e.Link() == "" {
		return nil
	}
	return []pagerduty.Link{{Href: e.Link(), Text: "Open in Guance"}}
}

func (s *Sink) action(e *guance.Event) (pagerduty.Action, pagerduty.Severity, string) {
	switch {
	case e.State() == guance.StateRecovered && s.opts.KeepOpen:
		return "", "", "a person closes the incident: Options.KeepOpen ignores recoveries"
	case e.State() == guance.StateRecovered:
		return pagerduty.ActionResolve, pagerduty.SeverityInfo, ""
	case e.Acknowledged():
		return pagerduty.ActionAcknowledge, pagerduty.SeverityInfo, ""
	case e.State() == guance.StateProblem, e.Level() == guance.LevelInfo,
		e.Incident == nil && looksLikeAlert(e):
		return s.trigger(e)
	}
	return "", "", "neither a problem nor a recovery: kind " + string(e.Kind())
}

// trigger decides about what triggers unless an option ignores it.
func (s *Sink) trigger(e *guance.Event) (pagerduty.Action, pagerduty.Severity, string) {
	level := e.Level()
	severity := s.opts.Severities[level]
	switch {
	case s.opts.IgnoreMuted && e.IsSilent:
		return "", "", "it is muted in Guance: Options.IgnoreMuted ignores it"
	case severity == Ignored:
		return "", "", "Options.Severities ignores the level " + level.String()
	case level != guance.LevelNone && level < s.opts.MinLevel:
		return "", "", "the level " + level.String() + " is below Options.MinLevel, " +
			s.opts.MinLevel.String()
	}
	return pagerduty.ActionTrigger, severity, ""
}

// looksLikeAlert reports whether a body of no known kind is an alert and no connectivity test. The
// vendor's manual test has only a title; an old plain-text notification has a title and a message
// (Guance docs, notify-object).
func looksLikeAlert(e *guance.Event) bool {
	return e.Kind() == guance.KindText ||
		strings.TrimSpace(e.Title) != "" && strings.TrimSpace(e.Message) != ""
}

// source returns what PagerDuty shows as affected. It is never blank: PagerDuty would refuse that.
func source(e *guance.Event) string {
	if host := strings.TrimSpace(e.DimensionTags["host"]); host != "" {
		return host
	}
	var tags []string
	for _, k := range slices.Sorted(maps.Keys(e.DimensionTags)) {
		if v := strings.TrimSpace(e.DimensionTags[k]); v != "" {
			tags = append(tags, k+"="+v)
		}
	}
	_, workspace := e.Workspace()
	return cmp.Or(strings.Join(tags, ","), strings.TrimSpace(e.CheckerName),
		strings.TrimSpace(workspace), "Guance")
}

func class(e *guance.Event) string {
	if e.Level() == guance.LevelNoData || e.CheckerSub == "nodata" {
		return "no data"
	}
	return cmp.Or(e.Checker, e.Source)
}

// details returns the three details of the vendor's script, and what a person on call looks for. It
// shares nothing with the event, as Map and Enrich may change what is in it.
func details(e *guance.Event) map[string]any {
	d := map[string]any{"result": e.Result, "description": e.Message}
	if t := e.Date; !t.IsZero() {
		d["date"] = t.Unix()
	} else if t := e.Time(); !t.IsZero() {
		d["date"] = t.Unix()
	}
	_, workspace := e.Workspace()
	for k, v := range map[string]string{
		"status": string(e.Status), "sub_status": string(e.SubStatus), "event_id": e.EventID,
		"monitor": e.CheckerName, "monitor_id": e.CheckerID, "alert_policy": e.MonitorName,
		"value": cmp.Or(e.CheckerValueWithUnit, e.CheckerValue), "reason": e.EventReason,
		"workspace": workspace, "site": e.SiteName, "fault_id": e.FaultID, "recovered_by": e.UserName,
	} {
		if v != "" {
			d[k] = v
		}
	}
	if len(e.DimensionTags) > 0 {
		d["tags"] = maps.Clone(e.DimensionTags)
	}
	if len(e.Label) > 0 {
		d["labels"] = slices.Clone(e.Label)
	}
	if lasted := e.FaultLasted(); lasted > 0 {
		d["lasted"] = lasted.String()
	}
	return d
}
