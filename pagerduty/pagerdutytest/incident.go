package pagerdutytest

import (
	"fmt"
	"maps"
	"net/http"
	"slices"
	"time"
)

// Status is the state of an incident.
type Status string

// The states of an incident.
const (
	Triggered    Status = "triggered"
	Acknowledged Status = "acknowledged"
	Resolved     Status = "resolved"
)

// Incident is an alert and its incident, which are one here: the fake groups
// nothing.
type Incident struct {
	ID       string // made by the fake
	Key      string // label of the routing key; see [KeyLabel]
	DedupKey string
	Status   Status

	// Summary, Source, Severity and Details are those of the newest trigger.
	Summary  string
	Source   string
	Severity string
	Details  map[string]any

	Opened       time.Time
	Acknowledged time.Time // zero if it never was
	Resolved     time.Time // zero while it is open

	// Log has an entry for every event the incident took.
	Log []LogEntry
	// Notifications counts how often somebody was called: once when it
	// opens, and again for a repeated trigger while nobody acknowledged.
	Notifications int
}

// LogEntry is one event in an incident's log.
type LogEntry struct {
	Time    time.Time
	Action  string
	Summary string
}

func (i *Incident) copy() Incident {
	c := *i
	c.Log = slices.Clone(i.Log)
	c.Details = maps.Clone(i.Details)
	return c
}

// Change is a step in the life of an incident, for [Fake.OnChange].
type Change struct {
	Time     time.Time
	Action   string   // trigger, acknowledge or resolve
	Repeated bool     // a trigger of an alert that was open already
	Incident Incident // as it is after the change
}

// ChangeEvent is a change event the fake took.
type ChangeEvent struct {
	Time    time.Time
	Key     string // label of the routing key
	Summary string
	Source  string
	Details map[string]any
}

// process does with an event what PagerDuty does. It is called with mu held.
func (f *Fake) process(x *exchange, now time.Time) answer {
	e := x.event
	switch {
	case x.request.Path != alertPath && x.request.Path != changePath:
		return plain(http.StatusNotFound, "Not Found")
	case x.request.Method != http.MethodPost:
		return plain(http.StatusMethodNotAllowed, "Method Not Allowed")
	case e == nil:
		return answer{
			status: http.StatusBadRequest, contentType: "application/json",
			body: `{"status":"Unrecognized object","message":"Event object format is unrecognized","errors":["JSON parse error"]}`,
		}
	}
	l := f.arrive(x, now)
	key := e.text("routing_key")
	if blank(key) {
		return invalid("'routing_key' is missing or blank")
	}
	if faults := keyFaults(key); len(faults) > 0 {
		return invalid(faults...)
	}
	if f.accepted != nil && !f.accepted[key] {
		return plain(http.StatusBadRequest, "Invalid routing key")
	}
	if !l.take(now, f.limit) {
		return answer{status: http.StatusTooManyRequests, contentType: "application/json", body: throttleBody}
	}
	if len(x.raw) > maxBody {
		// What PagerDuty answers here is not known; 413 is what the status is for.
		return plain(http.StatusRequestEntityTooLarge, "Request Entity Too Large")
	}
	if x.request.Path == changePath {
		return f.takeChange(e, key, now)
	}
	if faults := e.alertFaults(); len(faults) > 0 {
		return invalid(faults...)
	}
	dedup := e.text("dedup_key")
	if blank(dedup) {
		f.made++
		dedup = fmt.Sprintf("made-by-the-fake-%d", f.made)
	}
	f.apply(l, e, KeyLabel(key), dedup, now)
	return answer{
		status: http.StatusAccepted, contentType: "application/json",
		body: fmt.Sprintf(`{"status":"success","message":"Event processed","dedup_key":%s}`, quoteJSON(dedup)),
	}
}

// apply moves the state machine (PagerDuty developer docs, Events API v2:
// Trigger Events). An acknowledge or resolve of an alert that is not open
// under this very key is accepted and dropped.
func (f *Fake) apply(l *ledger, e *event, label, dedup string, now time.Time) {
	action := e.text("event_action")
	incident := l.open[dedup]
	repeated := incident != nil && action == "trigger"
	switch {
	case action == "trigger" && incident == nil:
		f.made++
		incident = &Incident{
			ID: fmt.Sprintf("Q%07d", f.made), Key: label, DedupKey: dedup,
			Status: Triggered, Opened: now, Notifications: 1,
		}
		l.open[dedup] = incident
		f.incidents = append(f.incidents, incident)
	case action == "trigger":
	case incident == nil:
		return
	case action == "acknowledge":
		incident.Status = Acknowledged
		incident.Acknowledged = now
	case action == "resolve":
		incident.Status = Resolved
		incident.Resolved = now
		delete(l.open, dedup)
	}
	if action == "trigger" {
		incident.Summary = e.payloadText("summary")
		incident.Source = e.payloadText("source")
		incident.Severity = e.payloadText("severity")
		incident.Details, _ = e.payload()["custom_details"].(map[string]any)
	}
	incident.Log = append(incident.Log, LogEntry{Time: now, Action: action, Summary: e.payloadText("summary")})
	f.pending = append(f.pending, Change{Time: now, Action: action, Repeated: repeated, Incident: incident.copy()})
}

func (f *Fake) takeChange(e *event, key string, now time.Time) answer {
	if key[0] == 'R' {
		// Keys of rulesets and orchestrations take no change events.
		return plain(http.StatusBadRequest, "Invalid routing key")
	}
	if faults := e.changeFaults(); len(faults) > 0 {
		return invalid(faults...)
	}
	details, _ := e.payload()["custom_details"].(map[string]any)
	f.changes = append(f.changes, ChangeEvent{
		Time: now, Key: KeyLabel(key), Summary: e.payloadText("summary"), Source: e.payloadText("source"), Details: details,
	})
	return answer{
		status: http.StatusAccepted, contentType: "application/json",
		body: `{"status":"success","message":"Change event processed"}`,
	}
}
