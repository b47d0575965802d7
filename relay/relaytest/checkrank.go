package relaytest

import (
	"slices"
	"sort"
	"time"

	"github.com/guance-relay/guance-relay/guance"
	"github.com/guance-relay/guance-relay/relay/store"
)

// delayed tests promise 6, the rank.
func (c *checker) delayed() *Violation {
	shown := c.shownBefore()
	for _, key := range c.keys {
		s := c.problems[key]
		for i, e := range s.entries {
			if !s.fresh(i) {
				continue
			}
			if v := c.waited(s, e, shown); v != nil {
				return v
			}
		}
	}
	return nil
}

// shownBefore returns for each attempt whether the lane knew, when it began, that the target shows
// the problem. The lane knows that an attempt was taken once it is recorded.
func (c *checker) shownBefore() []bool {
	before := make([]bool, len(c.attempts))
	for i, a := range c.attempts {
		var last time.Time
		for _, e := range c.problems[a.Problem].entries {
			if !e.stateful() || e.outcome() != store.Delivered || !e.endedBefore(a.Start) {
				continue
			}
			if at := e.settled[len(e.settled)-1].At; !at.Before(last) {
				last, before[i] = at, e.State == guance.StateProblem
			}
		}
	}
	return before
}

// fresh reports whether entry i is a new problem that could be sent as soon as it was accepted.
func (s *problem) fresh(i int) bool {
	e := s.entries[i]
	if e.State != guance.StateProblem || e.late || e.maybe || e.Unsure || e.Sticky ||
		e.outcome() == store.Ignored || e.foundFull() {
		return false
	}
	for _, old := range s.entries[:i] {
		if len(old.settled) == 0 {
			return false
		}
		if at := old.settled[len(old.settled)-1].At; at.IsZero() || at.After(e.At) {
			return false
		}
	}
	open := false // from the first attempt until a recovery is delivered
	for _, a := range s.attempts {
		if a.Start.After(e.At) {
			break
		}
		switch {
		case a.State == guance.StateProblem && a.Answer != Unsent:
			open = true
		case a.State == guance.StateRecovered && a.entry.outcome() == store.Delivered:
			open = false
		}
	}
	return !open
}

// waited counts the attempts of lower rank that began before the first of e.
func (c *checker) waited(s *problem, e *entry, shown []bool) *Violation {
	from := sort.Search(len(c.attempts),
		func(i int) bool { return c.attempts[i].Start.After(e.At) })
	to, end := len(c.attempts), time.Time{}
	if i := slices.IndexFunc(s.attempts,
		func(a *attempt) bool { return a.Start.After(e.At) }); i >= 0 {
		to, end = s.attempts[i].place, s.attempts[i].Start
	} else if e.outcome() == store.Dead {
		return nil // it was never sent: promise 2 tests that
	}
	level, seq := e.Level, e.Seq
	for _, next := range s.entries {
		if next.Seq <= e.Seq || next.late || !next.stateful() || !end.IsZero() &&
			next.At.After(end) {
			continue
		}
		if next.State == guance.StateRecovered || next.Sticky { // which may cancel what waits
			return nil
		}
		level, seq = min(level, next.Level), next.Seq
	}
	lower, sends := 0, 0
	for i, a := range c.attempts[from:max(from, to)] {
		if a.Answer == Unsent {
			continue
		}
		sends++
		if !c.outranks(a, shown[from+i], level, seq) {
			lower++
		}
	}
	if allowed := sends/c.AgedShare + 1 + c.InFlight; lower > allowed {
		return e.broken(6, "a new problem at level %v, accepted at %s, waited for %d sends of "+
			"lower rank among %d; allowed are %d",
			e.Level, e.At.UTC().Format(clock), lower, sends, allowed)
	}
	return nil
}

// outranks reports whether an attempt may go before a new problem of a level and sequence number:
// its problem has a worse event, itself or later. shown is whether the target shows its problem
// already.
func (c *checker) outranks(a *attempt, shown bool, level guance.Level, seq uint64) bool {
	for _, e := range c.problems[a.Problem].entries {
		switch {
		case e.Seq < a.entry.Seq, !e.stateful(), e.At.After(a.Start), e.endedBefore(a.Start):
		case e.State == guance.StateRecovered:
			shown = false // a later trigger is a new problem
		case !shown && (e.Level > level || e.Level == level && a.entry.Seq < seq):
			return true
		}
	}
	return false
}

// endedBefore reports whether the entry had an outcome at t.
func (e *entry) endedBefore(t time.Time) bool {
	return len(e.settled) > 0 && !e.settled[len(e.settled)-1].At.IsZero() &&
		e.settled[len(e.settled)-1].At.Before(t)
}
