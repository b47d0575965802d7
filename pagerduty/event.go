package pagerduty

import (
	"strings"
	"time"
)

// Action is what an event does to its alert.
type Action string

// The actions of the Events API v2.
const (
	ActionTrigger     Action = "trigger"
	ActionAcknowledge Action = "acknowledge"
	ActionResolve     Action = "resolve"
)

// Severity is how bad the state of the affected system is.
type Severity string

// The severities the Events API v2 takes; it refuses every other.
const (
	SeverityCritical Severity = "critical"
	SeverityError    Severity = "error"
	SeverityWarning  Severity = "warning"
	SeverityInfo     Severity = "info"
)

// foreignSeverities are the words other systems use, with what they mean here.
var foreignSeverities = map[string]Severity{
	"critical": SeverityCritical, "crit": SeverityCritical, "fatal": SeverityCritical,
	"emergency": SeverityCritical, "emerg": SeverityCritical, "alert": SeverityCritical,
	"disaster": SeverityCritical, "p1": SeverityCritical,
	"error": SeverityError, "err": SeverityError, "high": SeverityError,
	"major": SeverityError, "severe": SeverityError, "p2": SeverityError,
	"warning": SeverityWarning, "warn": SeverityWarning, "medium": SeverityWarning,
	"moderate": SeverityWarning, "minor": SeverityWarning, "average": SeverityWarning,
	"p3":   SeverityWarning,
	"info": SeverityInfo, "information": SeverityInfo, "informational": SeverityInfo,
	"low": SeverityInfo, "notice": SeverityInfo, "debug": SeverityInfo, "ok": SeverityInfo,
	"none": SeverityInfo, "p4": SeverityInfo, "p5": SeverityInfo,
}

// ParseSeverity maps the words for severity that are in use elsewhere (fatal,
// high, warn, notice and more, in either case) to one of the four PagerDuty
// takes. It reports false for a word it does not know.
func ParseSeverity(s string) (Severity, bool) {
	severity, ok := foreignSeverities[strings.ToLower(strings.TrimSpace(s))]
	return severity, ok
}

// Event is an alert event: it opens, acknowledges or resolves the alert that
// its dedup key names.
//
// A trigger needs a Summary; every other event needs a DedupKey. What else is
// missing, too long or malformed is put right on the way out, and
// [Result.Repairs] says how: a page with a shortened summary beats a refused
// one. An Event is never changed by sending it.
type Event struct {
	// Action is required.
	Action Action

	// DedupKey names the alert, across triggers, acknowledgement and resolve
	// sent under one routing key. Longer than 255 characters, it is replaced
	// by a readable prefix and a hash. Empty in a trigger: the client makes a
	// random one, so that a retry after a lost answer does not page twice;
	// Result.DedupKey is then the only handle on the alert.
	DedupKey string

	// Summary is the line people are woken with; at most 1024 characters.
	// Blank, it is made from the fields below.
	Summary string

	// Source is what is affected: a host name, best. Blank means
	// Options.DefaultSource.
	Source string

	// Severity in any word [ParseSeverity] knows. Blank or unknown means
	// Options.DefaultSeverity.
	Severity Severity

	// Timestamp is when the event arose. Zero means PagerDuty's clock.
	Timestamp time.Time

	Component string // part of the source that is affected; may be empty
	Group     string // cluster or service the source belongs to; may be empty
	Class     string // kind of event; may be empty

	// Details is shown as a table and can be matched by rules. Any value that
	// encoding/json can write; what it cannot is replaced by a line that says so.
	Details map[string]any

	Client    string // monitoring system that sends this; used with triggers
	ClientURL string // where that system shows the event; left out unless http or https; used with triggers

	Links  []Link  // those whose Href is not http or https are left out
	Images []Image // those without an https Src are left out
}

// Link is a link shown with the incident.
type Link struct {
	Href string `json:"href"`
	Text string `json:"text,omitzero"`
}

// Image is a picture shown with the incident.
type Image struct {
	Src  string `json:"src"`           // PagerDuty shows only what is served over HTTPS
	Href string `json:"href,omitzero"` // makes the image clickable; http or https
	Alt  string `json:"alt,omitzero"`
}

// bare reports whether the event carries no payload at all, the documented
// form of acknowledge and resolve.
func (e *Event) bare() bool {
	return e.Action != ActionTrigger &&
		e.Summary == "" && e.Source == "" && e.Severity == "" && e.Timestamp.IsZero() &&
		e.Component == "" && e.Group == "" && e.Class == "" && len(e.Details) == 0
}
