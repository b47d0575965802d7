package pagerdutytest

import (
	"fmt"
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

	// What it shows is that of the newest trigger.
	Alert

	Opened       time.Time
	Acknowledged time.Time // when it first was; zero if it never was
	Resolved     time.Time // zero while it is open

	// Log has an entry for every event the incident took.
	Log []LogEntry
	// Notifications counts how often somebody was called for it, which is
	// once, when it opens. Further triggers are entries in the log; PagerDuty
	// documents that an acknowledged incident notifies nobody, and of one
	// that is not it says no more than that there will be an entry.
	Notifications int
}

// Alert is what a trigger says.
type Alert struct {
	Summary   string
	Source    string
	Severity  string
	Timestamp string // as it was sent
	Component string
	Group     string
	Class     string
	// Details are the custom_details as encoding/json decodes them; a number
	// beyond float64 is a json.Number.
	Details   map[string]any
	Client    string
	ClientURL string
	Links     []Link
	Images    []Image
}

// Link is a link of an event.
type Link struct{ Href, Text string }

// Image is an image of an alert event.
type Image struct{ Src, Href, Alt string }

// LogEntry is one event in an incident's log.
type LogEntry struct {
	Time    time.Time
	Action  string // trigger, acknowledge or resolve
	Summary string // the event's; a resolve may have none
}

// Step is a step in the life of an incident, for [Fake.OnStep].
type Step struct {
	Time     time.Time
	Action   string   // trigger, acknowledge or resolve
	Repeated bool     // a trigger of an alert that was open already
	Incident Incident // as it is after the step
}

func (i *Incident) copy() Incident {
	c := *i
	c.Log = slices.Clone(i.Log)
	c.Details = cloneObject(i.Details)
	c.Links, c.Images = slices.Clone(i.Links), slices.Clone(i.Images)
	return c
}

func alertOf(e event) Alert {
	p := e.object("payload")
	a := Alert{
		Summary: p.text("summary"), Source: p.text("source"), Severity: p.text("severity"),
		Timestamp: p.text("timestamp"), Component: p.text("component"), Group: p.text("group"), Class: p.text("class"),
		Details: p.object("custom_details"), Client: e.text("client"), ClientURL: e.text("client_url"),
		Links: linksOf(e),
	}
	for _, image := range e.objects("images") {
		a.Images = append(a.Images, Image{image.text("src"), image.text("href"), image.text("alt")})
	}
	return a
}

func linksOf(e event) (links []Link) {
	for _, link := range e.objects("links") {
		links = append(links, Link{link.text("href"), link.text("text")})
	}
	return links
}

// applyAlert moves the state machine by an event that is in order, and returns
// its dedup key and whether it found something to apply to.
func (f *Fake) applyAlert(l *ledger, e event, now time.Time) (dedupKey string, applied bool) {
	action := e.text("event_action")
	dedupKey = e.text("dedup_key")
	if e.blank("dedup_key") {
		f.made++
		dedupKey = fmt.Sprintf("made-by-the-fake-%d", f.made)
	}
	incident := l.open[dedupKey]
	repeated := incident != nil && action == "trigger"
	switch {
	case incident == nil && action != "trigger":
		return dedupKey, false
	case incident == nil:
		f.made++
		incident = &Incident{
			ID: fmt.Sprintf("Q%07d", f.made), Key: KeyLabel(e.text("routing_key")), DedupKey: dedupKey,
			Status: Triggered, Opened: now, Notifications: 1,
		}
		l.open[dedupKey] = incident
		f.incidents = append(f.incidents, incident)
	case action == "acknowledge":
		incident.Status = Acknowledged
		if incident.Acknowledged.IsZero() {
			incident.Acknowledged = now
		}
	case action == "resolve":
		incident.Status, incident.Resolved = Resolved, now
		delete(l.open, dedupKey)
	}
	if action == "trigger" {
		incident.Alert = alertOf(e)
	}
	incident.Log = append(incident.Log, LogEntry{Time: now, Action: action, Summary: e.object("payload").text("summary")})
	if len(f.observers) > 0 {
		f.pending = append(f.pending, Step{Time: now, Action: action, Repeated: repeated, Incident: incident.copy()})
	}
	return dedupKey, true
}
