package relaytest

import (
	"github.com/guance-relay/guance-relay/guance"
	"github.com/guance-relay/guance-relay/relay/store"
)

// before returns the entry that decides what the target shows when the lane reads e: the newest
// older one with a state that was sent. Nil: the target shows nothing. sure is false if the history
// does not tell: an older entry died or has not ended, and the lane may have begun it.
func (s *problem) before(e *entry) (by *entry, sure bool) {
	for i := len(s.entries) - 1; i >= 0; i-- {
		old := s.entries[i]
		switch {
		case old.Seq >= e.Seq, !old.stateful(), old.outcome() == store.Superseded, old.laneFull():
		case old.outcome() == store.Ignored && len(old.attempts) == 0:
		case old.outcome() == store.Delivered && len(old.settled) == 1:
			return old, true
		default:
			return nil, false
		}
	}
	return nil, true
}

// laneFull reports whether the lane never read e, because it was full.
func (e *entry) laneFull() bool {
	return e.outcome() == store.Dead && len(e.settled) == 1 && e.foundFull()
}

// foundFull reports whether the lane was full when e was accepted. It may have been replayed since.
func (e *entry) foundFull() bool {
	return len(e.settled) > 0 && e.settled[0].Reason == store.LaneFull
}

// misplaced tests the rest of promise 2, of sticky entries. It runs after promise 3.
func (c *checker) misplaced() *Violation {
	for _, e := range c.accepted {
		if !e.Sticky || e.late || e.maybe || len(e.settled) > 1 { // replayed by a person
			continue
		}
		s := c.problems[e.Problem]
		by, sure := s.before(e)
		if !sure {
			continue
		}
		shown := by != nil && by.State == guance.StateProblem
		wanted := shown && (e.State != guance.StateProblem || e.Level != by.Level)
		switch {
		case wanted && e.outcome() == store.Superseded && !c.newer(e):
			return e.broken(2, "it is sticky and superseded, and no newer event of the problem took "+
				"its place; the target shows %s", by.words())
		case e.State == guance.StateRecovered && s.inDoubt(e):
		case !e.stateful() && by != nil && !by.endedBefore(e.At): // it waited behind the recovery
		case !wanted && len(e.attempts) > 0:
			return e.broken(2, "it is sticky and was sent; it changes nothing, as the target shows %s",
				by.words())
		}
	}
	return nil
}

// inDoubt reports whether the answer to an older request of the problem may have been lost, also by
// a process that ended. Then the lane sends a recovery once more.
func (s *problem) inDoubt(e *entry) bool {
	for _, a := range s.attempts {
		if a.entry.Seq < e.Seq && a.State == guance.StateProblem {
			return true
		}
	}
	return false
}
