package simulate

import (
	"fmt"
	"time"

	"github.com/guance-relay/guance-relay/guance"
	"github.com/guance-relay/guance-relay/relay/relaytest"
)

// An inForce is what the lanes of the process may be from a time on. There are several while they
// are being changed.
type inForce struct {
	from  time.Time
	lanes []Lanes
}

// configurations returns what the lanes said of an event. The relay routes it up to half a call of
// the disk before the store has it.
func (w *world) configurations(a *relaytest.Appended) (all []relaytest.Configuration) {
	events, err := guance.Decode(a.Event.Body, "application/json")
	if err != nil || len(events) != 1 {
		panic(fmt.Sprintf("the store holds a body that cannot be read: %v", err))
	}
	since := a.At.Add(-w.plan.Disk / 2)
	for i, f := range w.inForce {
		if i+1 < len(w.inForce) && w.inForce[i+1].from.Before(since) || f.from.After(a.At) {
			continue
		}
		for _, lanes := range f.lanes {
			all = append(all, lanes.configuration(events[0]))
		}
	}
	return all
}
