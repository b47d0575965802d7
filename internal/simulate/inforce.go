package simulate

import (
	"fmt"
	"slices"
	"time"

	"github.com/guance-relay/guance-relay/guance"
	"github.com/guance-relay/guance-relay/relay/relaytest"
)

// An inForce is what the lanes of the process of a node may be from a time on. There are several
// while they are being changed.
type inForce struct {
	node  int
	from  time.Time
	lanes []Lanes
}

// routedBefore is how long before the engine takes an event its node may have routed it: Accept
// repeats what is unavailable, and the node may be paused.
const routedBefore = 2 * time.Minute

// configurations returns what the lanes said of an event, of any node. The relay routes it up to
// half a call of the disk before the store has it.
func (w *world) configurations(a *relaytest.Appended) (all []relaytest.Configuration) {
	events, err := guance.Decode(a.Event.Body, "application/json")
	if err != nil || len(events) != 1 {
		panic(fmt.Sprintf("the store holds a body that cannot be read: %v", err))
	}
	since := a.At.Add(-w.plan.Disk / 2)
	if w.engine != nil {
		since = a.At.Add(-routedBefore)
	}
	for i, f := range w.inForce {
		over := slices.ContainsFunc(w.inForce[i+1:], func(next inForce) bool {
			return next.node == f.node && next.from.Before(since)
		})
		if over || f.from.After(a.At) {
			continue
		}
		for _, lanes := range f.lanes {
			all = append(all, lanes.configuration(events[0]))
		}
	}
	return all
}
