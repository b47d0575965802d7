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

// The severities of the Events API v2. It refuses every other one.
const (
	SeverityCritical Severity = "critical"
	SeverityError    Severity = "error"
	SeverityWarning  Severity = "warning"
	SeverityInfo     Severity = "info"
)

// severityWords maps words of other systems.
var severityWords = map[string]Severity{
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

// ParseSeverity maps the words for severity that other systems use (fatal, high, warn, notice and
// more, in upper or lower case) to one of PagerDuty's four. It reports false for an unknown word.
func ParseSeverity(s string) (Severity, bool) {
	severity, ok := severityWords[strings.ToLower(strings.TrimSpace(s))]
	return severity, ok
}

// Event is an alert event. It opens, acknowledges or resolves the alert that its dedup key names.
//
// A trigger needs a Summary, and every other event a DedupKey. Sending repairs whatever else is
// missing, too long or malformed, and [Result.Repairs] lists it. Sending never changes the Event.
type Event struct {
	// Action is required.
	Action Action

	// DedupKey names the alert in its trigger, acknowledge and resolve under one routing key. A key of
	// more than 255 characters is replaced by its beginning and a hash. A trigger without a key gets a
	// random one, so that a retry after a lost answer does not page twice; Result.DedupKey returns it.
	DedupKey string

	// Summary is the line that the person on call reads first; at most 1024 characters. A blank one is
	// made from the fields below.
	Summary string

	// Source is what is affected, best a host name. Blank: Options.DefaultSource.
	Source string

	// Severity may be any word that [ParseSeverity] knows. Blank or unknown: Options.DefaultSeverity.
	Severity Severity

	// Timestamp is when the problem arose. Zero: PagerDuty's clock.
	Timestamp time.Time

	Component string // the affected part of the source; may be empty
	Group     string // the cluster or service of the source; may be empty
	Class     string // the kind of event; may be empty

	// Details is shown as a table, and PagerDuty's rules can match on it. It may hold any value that
	// encoding/json can write; another value is replaced by a text that says so.
	Details map[string]any

	Client    string // the monitoring system that sends this; for triggers
	ClientURL string // the event in that system; left out unless http or https; for triggers

	Links  []Link  // those whose Href is not http or https are left out
	Images []Image // those without an https Src are left out
}

// ChangeEvent records a change, such as a deployment, on a service. It opens no incident and
// notifies nobody; PagerDuty keeps it for 90 days.
//
// It has no images: PagerDuty's reference has only links for change events, although the schema has
// both.
type ChangeEvent struct {
	// Summary is what changed; at most 1024 characters. Required.
	Summary string

	Source    string         // what changed it or where; may be empty
	Timestamp time.Time      // when; zero: PagerDuty's clock
	Details   map[string]any // as in [Event]

	Links []Link // those whose Href is not http or https are left out
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

// bare reports whether the event has no payload, the documented form of acknowledge and resolve.
func (e *Event) bare() bool {
	return e.Action != ActionTrigger &&
		e.Summary == "" && e.Source == "" && e.Severity == "" && e.Timestamp.IsZero() &&
		e.Component == "" && e.Group == "" && e.Class == "" && len(e.Details) == 0
}
