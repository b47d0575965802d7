package relay

import (
	"slices"
	"strings"

	"github.com/guance-relay/guance-relay/guance"
	"github.com/guance-relay/guance-relay/relay/store"
)

// A Filter chooses entries. All that is set must hold. The zero Filter takes every entry.
type Filter struct {
	// Levels are the levels to take.
	Levels []guance.Level `json:"levels,omitempty"`
	// Tag is a tag that the event must have, see [MatchTag]: "service", or with its value
	// "service=payments".
	Tag string `json:"tag,omitempty"`
	// Text must be in the title, the message, the name of the monitor, the problem key or the event
	// ID. Upper and lower case are the same.
	Text string `json:"text,omitempty"`
}

// Match reports whether the filter takes an entry. Of one whose body cannot be read, the level, the
// problem key and the event ID count.
func (f *Filter) Match(e *store.Entry) bool {
	if len(f.Levels) > 0 && !slices.Contains(f.Levels, e.Level) {
		return false
	}
	if !f.reads() {
		return true
	}
	ev := &guance.Event{}
	if events, err := guance.Decode(e.Body, "application/json"); err == nil && len(events) == 1 {
		ev = events[0]
	}
	return f.matchTag(ev) && f.matchText(e, ev)
}

// reads reports whether the filter needs the event.
func (f *Filter) reads() bool { return f.Tag != "" || f.Text != "" }

func (f *Filter) all() bool { return len(f.Levels) == 0 && !f.reads() }

func (f *Filter) matchTag(ev *guance.Event) bool {
	if f.Tag == "" {
		return true
	}
	if key, value, ok := strings.Cut(f.Tag, "="); ok {
		return MatchTag(key, value)(ev)
	}
	return MatchTag(f.Tag)(ev)
}

func (f *Filter) matchText(e *store.Entry, ev *guance.Event) bool {
	text := strings.ToLower(f.Text)
	return slices.ContainsFunc(
		[]string{ev.Title, ev.Message, ev.MonitorName, ev.CheckerName, e.Problem, e.ID},
		func(field string) bool { return strings.Contains(strings.ToLower(field), text) })
}
