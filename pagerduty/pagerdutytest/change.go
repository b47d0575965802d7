package pagerdutytest

import (
	"slices"
	"time"
)

// ChangeEvent is a change event that the fake accepted. It opens no incident and notifies nobody.
type ChangeEvent struct {
	Time      time.Time
	Key       string // label of the routing key; see [KeyLabel]
	Summary   string
	Source    string
	Timestamp string // as it was sent
	Details   map[string]any
	Links     []Link
}

func (c ChangeEvent) copy() ChangeEvent {
	c.Details, c.Links = cloneObject(c.Details), slices.Clone(c.Links)
	return c
}

func (f *Fake) applyChange(e event, now time.Time) {
	p := e.object("payload")
	f.changes = append(f.changes, ChangeEvent{
		Time: now, Key: KeyLabel(e.text("routing_key")),
		Summary: p.text("summary"), Source: p.text("source"), Timestamp: p.text("timestamp"),
		Details: p.object("custom_details"), Links: linksOf(e),
	})
}

// Changes returns all accepted change events, in order.
func (f *Fake) Changes() []ChangeEvent {
	f.mu.Lock()
	defer f.mu.Unlock()
	changes := make([]ChangeEvent, len(f.changes))
	for n, c := range f.changes {
		changes[n] = c.copy()
	}
	return changes
}
