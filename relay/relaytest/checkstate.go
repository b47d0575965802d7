package relaytest

import (
	"fmt"
	"slices"

	"github.com/guance-relay/guance-relay/guance"
	"github.com/guance-relay/guance-relay/relay/store"
)

// diverged tests promise 4, the state at the end.
func (c *checker) diverged() *Violation {
	for _, key := range c.keys {
		s := c.problems[key]
		if v := s.diverged(key); v != nil {
			return v
		}
		if ends, known := c.ends[key]; known {
			if v := s.endsWrong(key, ends); v != nil {
				return v
			}
		}
	}
	return nil
}

func (s *problem) diverged(problem string) *Violation {
	if slices.ContainsFunc(s.entries, func(e *entry) bool { return e.outcome() == 0 }) {
		return nil // it has not converged yet
	}
	said := s.lastSaid()
	for _, shown := range s.shown() {
		if slices.ContainsFunc(said, func(e *entry) bool {
			return e.agrees(shown) ||
				e.diedAfter(shown)
		}) {
			continue
		}
		v := &Violation{Promise: 4, Problem: problem, Text: fmt.Sprintf("the target shows %s, "+
			"and last said was %s", shown.words(), said[0].words())}
		if said[0] != nil {
			v.Seq = said[0].Seq
		}
		return v
	}
	return nil
}

// endsWrong tests History.Ends of a problem.
func (s *problem) endsWrong(problem string, ends guance.State) *Violation {
	if slices.ContainsFunc(s.entries, func(e *entry) bool { return e.outcome() == 0 }) {
		return nil // it has not converged yet
	}
	open := ends == guance.StateProblem
	said := s.lastSaid()
	for _, e := range said {
		if (e != nil && e.State == guance.StateProblem) == open {
			return nil
		}
	}
	for _, e := range s.entries { // a dead entry may have arrived
		if e.outcome() == store.Dead && (said[0] == nil || e.Seq > said[0].Seq) &&
			(e.State == guance.StateProblem) == open {
			return nil
		}
	}
	v := &Violation{Promise: 4, Problem: problem, Text: fmt.Sprintf("the target shows %v at the "+
		"end, and last said was %s", ends, said[0].words())}
	if said[0] != nil {
		v.Seq = said[0].Seq
	}
	return v
}

// lastSaid returns the entry that the target should show; nil for nothing. It returns several if
// more than one would be right.
func (s *problem) lastSaid() (said []*entry) {
	died := false
	for _, e := range slices.Backward(s.entries) {
		if !e.stateful() || e.late || e.outcome() == store.Ignored {
			continue
		}
		switch e.outcome() {
		case store.Dead:
			died = true
			continue
		case store.Superseded:
			if died { // by the entry that died
				continue
			}
			if e.Sticky {
				switch by, sure := s.before(e); {
				case !sure:
					said = append(said, e, nil)
					continue
				case e.State == guance.StateProblem && (by == nil || by.State != guance.StateProblem):
					return append(said, nil) // the lane never had the problem, or has lost it
				}
			}
		}
		said = append(said, e)
		if !e.maybe {
			return said
		}
	}
	return append(said, nil)
}

// diedAfter reports whether the target shows a dead entry newer than e, which may have arrived.
func (e *entry) diedAfter(shown *attempt) bool {
	return shown != nil && shown.entry.outcome() == store.Dead &&
		(e == nil || shown.entry.Seq > e.Seq)
}

// shown returns the attempts of which the target may show one at the end; nil stands for nothing.
func (s *problem) shown() []*attempt {
	shown := []*attempt{nil}
	for _, a := range s.attempts {
		switch {
		case a.State == guance.StateNeither:
		case a.Answer == Taken:
			shown = []*attempt{a}
		case a.Answer == Unknown:
			shown = append(shown, a)
		}
	}
	return shown
}

// agrees reports whether an attempt shows the state and level of e. A nil entry and a nil attempt
// count as a recovery.
func (e *entry) agrees(shown *attempt) bool {
	there := e != nil && e.State == guance.StateProblem
	if shown == nil || shown.State != guance.StateProblem {
		return !there
	}
	return there && e.Level == shown.Level
}

func (e *entry) words() string {
	if e == nil {
		return "nothing"
	}
	return words(e.State, e.Level, e.Seq)
}

func (a *attempt) words() string {
	if a == nil {
		return "nothing"
	}
	return words(a.State, a.Level, a.entry.Seq)
}

func words(s guance.State, l guance.Level, seq uint64) string {
	if s == guance.StateProblem {
		return fmt.Sprintf("problem at level %v (entry %d)", l, seq)
	}
	return fmt.Sprintf("%v (entry %d)", s, seq)
}
