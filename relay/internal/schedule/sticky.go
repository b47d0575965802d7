package schedule

import (
	"github.com/guance-relay/guance-relay/guance"
	"github.com/guance-relay/guance-relay/relay/store"
)

// Why an entry is superseded although no newer one replaced it. Operators read this in the history.
const (
	endedUnsent = "the problem ended before it was sent"
	notShown    = "the target does not show the problem"
	notOurs     = "the problem is no longer this lane's"
	shownBefore = "a repeat of what the target shows"
)

// A view is what the target will show of a problem.
type view struct {
	open  bool
	level int8 // unknownLevel if the target may show any
	ended bool // a recovery in the queue ends the problem and leaves no doubt
	// A recovery was begun and is not delivered. If it dies, the target goes on to show the problem.
	ending bool
}

const unknownLevel = -1

// view returns what the target will show once the begun entries of a problem are delivered, or
// those of the whole queue. The last entry with a state decides, then the record.
func (ps *problems) view(p *problem, whole bool) view {
	x := ps.extra(p)
	for i := len(x.queue); i >= 0; i-- { // from the end: where every event is sent, queues are long
		it := &p.first
		if i > 0 {
			it = &x.queue[i-1]
		}
		if !it.begun && !whole {
			continue
		}
		switch guance.State(it.state) {
		case guance.StateProblem:
			return view{open: true, level: it.level}
		case guance.StateRecovered:
			delivered := i == 0 && x.repeat
			return view{
				ended:  !it.doubt, // in doubt: it is not sent a second time
				ending: it.begun && !delivered,
			}
		}
	}
	// The record has no level if the answer to the trigger is not known, or if the trigger died.
	if guance.Level(p.shown) == guance.LevelNone {
		return view{open: p.open, level: unknownLevel}
	}
	return view{open: p.open, level: p.shown}
}

// refuse returns why an entry is superseded at once because it is sticky, or "" if it is sent. What
// it supersedes is no longer in the queue; unsent says that a trigger was among it.
func (s *Schedule) refuse(p *problem, e *store.Entry, unsent bool) string {
	if !e.Sticky {
		return ""
	}
	v := s.problems.view(p, s.policy.EveryEvent)
	switch e.State {
	case guance.StateRecovered:
		// In doubt, the target may still handle a request that opens the problem.
		doubt := s.problems.extra(p).doubt && !v.ended && !s.policy.EveryEvent
		switch {
		case v.open || doubt || v.ending:
			return ""
		case unsent:
			return endedUnsent
		}
		return notShown
	case guance.StateProblem:
		switch {
		case !v.open:
			return notOurs
		case v.level == int8(e.Level):
			return shownBefore
		}
		return ""
	}
	if v.open || s.problems.view(p, true).open { // or will be, before this event is sent
		return ""
	}
	return notShown
}
