package simulate

import (
	"fmt"
	"hash/fnv"
	"math/rand/v2"
	"slices"
	"strings"

	"github.com/guance-relay/guance-relay/guance"
	"github.com/guance-relay/guance-relay/relay"
	"github.com/guance-relay/guance-relay/relay/relaytest"
)

// Routing keys of PagerDuty. Lanes with one key share its budget.
const (
	firstKey  = "51mu1a7e000000000000000000000000"
	secondKey = "51mu1a7e000000000000000000000001"
	thirdKey  = "51mu1a7e000000000000000000000002"
)

// rotated gives a lane the third key, or its own one back.
func rotated(l *Lane) {
	if l.Before == "" {
		l.Key, l.Before = thirdKey, l.Key
	} else {
		l.Key, l.Before = l.Before, ""
	}
}

// A Lane is one lane of a configuration.
type Lane struct {
	ID       int    // stays when the lane is renamed
	Name     string // the present one
	Formerly string
	Match    Match
	Fallback bool
	Key      string // of PagerDuty; empty: a chat that takes everything, and gets each event
	Before   string // the key before it was rotated
	Removed  bool   // the lane has no sink
}

// A Match is a function for SinkOptions.Match with a name. The zero Match takes every event.
type Match struct {
	name  string
	takes func(*guance.Event) bool
}

func (m Match) match(e *guance.Event) bool { return m.takes == nil || m.takes(e) }

var (
	critical = Match{"critical", relay.AtLeast(guance.LevelCritical)}
	warnings = Match{"warnings", func(e *guance.Event) bool {
		return e.State() == guance.StateProblem && e.Level() < guance.LevelCritical
	}}
	oneHalf   = Match{"one half", func(e *guance.Event) bool { return half(e) == 0 }}
	otherHalf = Match{"the other half", func(e *guance.Event) bool { return half(e) == 1 }}
)

// half returns to which half of all problems that of an event belongs.
func half(e *guance.Event) uint32 {
	h := fnv.New32a()
	_, _ = h.Write([]byte(e.ProblemKey())) // never fails
	return h.Sum32() % 2
}

func both(a, b Match) Match {
	return Match{a.name + " of " + b.name, relay.All(a.takes, b.takes)}
}

func (l *Lane) String() string {
	says := l.Name
	if l.Key == "" {
		says += ", a chat"
	} else {
		says += ", PagerDuty " + l.Key[len(l.Key)-1:]
	}
	if l.Match.name != "" {
		says += ", " + l.Match.name
	}
	if l.Fallback {
		says += ", the fallback"
	}
	return says
}

// Lanes are the lanes of one configuration. They are not changed: change returns others.
type Lanes []Lane

// layouts returns one of the sets of lanes that are played.
func layouts(rng *rand.Rand) Lanes {
	sets := []Lanes{
		{ // as most people have it
			{Name: "pagerduty", Key: firstKey},
			{Name: "audit"},
		},
		{ // critical and worse page, warnings are tickets, the rest goes to chat
			{Name: "pager", Match: critical, Key: firstKey},
			{Name: "tickets", Match: warnings, Key: secondKey},
			{Name: "chat", Fallback: true},
		},
		{ // critical and worse page, nobody takes the rest
			{Name: "pager", Match: critical, Key: firstKey},
		},
		{ // two teams with one routing key
			{Name: "payments", Match: oneHalf, Key: firstKey},
			{Name: "orders", Match: otherHalf, Key: firstKey},
			{Name: "audit"},
		},
		{ // two teams with one routing key; warnings are tickets, the rest goes to chat
			{Name: "payments", Match: both(critical, oneHalf), Key: firstKey},
			{Name: "orders", Match: both(critical, otherHalf), Key: firstKey},
			{Name: "tickets", Match: warnings, Key: secondKey},
			{Name: "chat", Fallback: true},
		},
	}
	lanes := pick(rng, sets...)
	for i := range lanes {
		lanes[i].ID = i
	}
	return lanes
}

// change returns the lanes with one of them changed.
func (l Lanes) change(id int, fn func(*Lane)) Lanes {
	changed := slices.Clone(l)
	fn(&changed[id])
	return changed
}

// equal reports whether the lanes have the same names, and the same sinks.
func (l Lanes) equal(other Lanes) bool {
	return slices.EqualFunc(l, other, func(a, b Lane) bool {
		return a.Name == b.Name && a.Key == b.Key && a.Removed == b.Removed
	})
}

// configuration returns what the lanes say of an event.
func (l Lanes) configuration(e *guance.Event) (c relaytest.Configuration) {
	for _, lane := range l {
		if lane.Removed {
			continue
		}
		c.Served = append(c.Served, lane.Name)
		switch {
		case lane.Fallback:
			c.Fallback = lane.Name
		case lane.Match.match(e):
			c.Wanted = append(c.Wanted, lane.Name)
		}
	}
	return c
}

func (l Lanes) String() string {
	var b strings.Builder
	for _, lane := range l {
		fmt.Fprintf(&b, "  lane %v\n", &lane)
	}
	return b.String()
}
