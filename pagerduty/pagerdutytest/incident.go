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

// Incident is an alert and its incident, which are one here: the fake groups nothing.
type Incident struct {
	ID       string // made by the fake
	Key      string // label of the routing key; see [KeyLabel]
	DedupKey string
	Status   Status

	// The content of the newest trigger.
	Alert

	Opened       time.Time
	Acknowledged time.Time // the first time; zero if never
	Resolved     time.Time // zero while it is open

	// Log has an entry for every event of the incident.
	Log []LogEntry
	// Notifications is how often somebody was notified: once, when the incident opened. A further
	// trigger is an entry in the log: PagerDuty documents that an acknowledged incident notifies
	// nobody, and of a triggered one only that there is an entry.
	Notifications int
}

// Alert is the content of a trigger.
type Alert struct {
	Summary   string
	Source    string
	Severity  string
	Timestamp string // as it was sent
	Component string
	Group     string
	Class     string
	// Details are the custom_details as encoding/json decodes them. A number that is too large for a
	// float64 is a json.Number.
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
	Summary string // of the event; a resolve may have none
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
		Timestamp: p.text("timestamp"), Component: p.text("component"), Group: p.text("group"),
		Class:   p.text("class"),
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

// applyAlert applies a valid event. It returns the dedup key and whether there was an incident to
// apply it to.
func (f *Fake) applyAlert(l *keyState, e event, now time.Time) (dedupKey string, applied bool) {
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
	incident.Log = append(incident.Log,
		LogEntry{Time: now, Action: action, Summary: e.object("payload").text("summary")})
	if len(f.observers) > 0 {
		f.pending = append(f.pending,
			Step{Time: now, Action: action, Repeated: repeated, Incident: incident.copy()})
	}
	return dedupKey, true
}

// Incidents returns all incidents, in the order in which they opened.
func (f *Fake) Incidents() []Incident {
	return f.pick(func(*Incident) bool { return true })
}

// Open returns the incidents that are not resolved, in the order in which they opened.
func (f *Fake) Open() []Incident {
	return f.pick(func(i *Incident) bool { return i.Status != Resolved })
}

// IncidentsOf returns all incidents of a dedup key, under any routing key, in the order in which
// they opened.
func (f *Fake) IncidentsOf(dedupKey string) []Incident {
	return f.pick(func(i *Incident) bool { return i.DedupKey == dedupKey })
}

// Incident returns the newest incident of a dedup key, under any routing key, and whether there is
// one.
func (f *Fake) Incident(dedupKey string) (Incident, bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for n := len(f.incidents) - 1; n >= 0; n-- {
		if i := f.incidents[n]; i.DedupKey == dedupKey {
			return i.copy(), true
		}
	}
	return Incident{}, false
}

// Notifications returns the number of notifications of all incidents.
func (f *Fake) Notifications() (n int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, i := range f.incidents {
		n += i.Notifications
	}
	return n
}

func (f *Fake) pick(want func(*Incident) bool) (picked []Incident) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, i := range f.incidents {
		if want(i) {
			picked = append(picked, i.copy())
		}
	}
	return picked
}
