package boltstore

import (
	"cmp"
	"slices"

	"github.com/guance-relay/guance-relay/guance"
	"github.com/guance-relay/guance-relay/relay/store"
)

// A place is one lane that gets an event.
type place struct {
	lane    *laneIndex
	name    string // of the lane, for the caller
	sticky  bool
	outcome store.Outcome // as in store.Placement
	reason  string
	seq     uint64 // set by write
}

// route returns the lanes that get an event: those that are to get it, in the order of the event,
// then those that hold its problem, by name. It reads the index alone.
func (x *index) route(e *newEvent, served []string) []place {
	places := make([]place, 0, len(e.Wanted)+1)
	x.routed++
	offer := func(o store.Offer, l *laneIndex) {
		if l.routed == x.routed {
			return // under another name of the lane
		}
		l.routed = x.routed
		p := place{lane: l, name: o.Lane, reason: o.Ignored}
		if o.Ignored != "" {
			p.outcome = store.Ignored
		}
		places = append(places, p)
	}
	for _, o := range e.Wanted {
		offer(o, x.lane(o.Lane))
	}
	if o := e.Fallback; o != nil && len(e.Wanted) == 0 {
		if l := x.lane(o.Lane); !x.taken(e, served, l) {
			offer(*o, l)
		}
	}
	offered := len(places)
	for h := range x.problems.of(e.problem) {
		if l := x.all[h.lane]; l.routed != x.routed {
			places = append(places, place{lane: l, name: x.served(l, served), sticky: true})
		}
	}
	slices.SortFunc(places[offered:], func(a, b place) int {
		return cmp.Compare(a.lane.name, b.lane.name)
	})
	for i := range places {
		if p := &places[i]; p.outcome == 0 && p.lane.pending >= x.maxLaneEntries {
			p.outcome, p.reason = store.Dead, store.LaneFull
		}
	}
	return places
}

// served returns the name that a caller has for a lane; its present name if the caller has none.
func (x *index) served(l *laneIndex, served []string) string {
	if l.renamed {
		for _, name := range slices.Backward(served) {
			if x.lanes[name] == l {
				return name
			}
		}
	}
	return l.name
}

// taken reports whether a served lane keeps an event from the fallback: it shows the problem and no
// recovery of it is pending there, or it holds a problem that the event follows.
func (x *index) taken(e *newEvent, served []string, fallback *laneIndex) bool {
	for h := range x.problems.of(e.problem) {
		l := x.all[h.lane]
		shows := h.open > 0 && h.recoveries <= 0
		if (shows || e.Follows) && l != fallback &&
			slices.ContainsFunc(served, func(name string) bool { return x.lanes[name] == l }) {
			return true
		}
	}
	return false
}

// expect adds what an event will leave in its lanes to the index, so that the next event of a call
// is routed by it. With -1 it takes that back. Dead letters that will be deleted because a lane has
// too many are not taken into account.
func (x *index) expect(e *newEvent, n int32) {
	for _, p := range e.places {
		switch p.outcome {
		case 0:
			p.lane.pending += int(n)
			x.problems.add(e.problem, p.lane.at, pendingHolding(e.State == guance.StateRecovered, n))
		case store.Dead:
			x.problems.add(e.problem, p.lane.at, holding{entries: n})
		}
	}
}

// pendingHolding is what n pending entries of a problem add.
func pendingHolding(recovery bool, n int32) holding {
	if recovery {
		return holding{entries: n, recoveries: n}
	}
	return holding{entries: n}
}
