package relaytest

import (
	"fmt"
	"slices"

	"github.com/guance-relay/guance-relay/guance"
	"github.com/guance-relay/guance-relay/relay/store"
)

// broken makes a violation of promise n by e.
func (e *entry) broken(n int, format string, args ...any) *Violation {
	return &Violation{Promise: n, Problem: e.Problem, Seq: e.Seq, Text: fmt.Sprintf(format, args...)}
}

// vanished decides promise 2.
func (c *checker) vanished() *Violation {
	if len(c.strays) > 0 {
		return &Violation{Promise: 2, Text: c.strays[0]}
	}
	for _, e := range c.accepted {
		if v := c.settledOnce(e); v != nil {
			return v
		}
		if v := c.settledRightly(e); v != nil {
			return v
		}
	}
	return nil
}

// settledOnce: one outcome, or several of which only the last is not dead.
func (c *checker) settledOnce(e *entry) *Violation {
	if len(e.settled) == 0 {
		if c.unfinished || e.neverWas() {
			return nil
		}
		return e.broken(2, "it was accepted and has no outcome after %d attempts", len(e.attempts))
	}
	for i, s := range e.settled[1:] {
		if before := e.settled[i].Outcome; before != store.Dead {
			return e.broken(2, "it has two outcomes, %v and then %v; only what is dead can be replayed", before, s.Outcome)
		}
	}
	return nil
}

// settledRightly: the last outcome agrees with what was on the wire and with what else was accepted.
func (c *checker) settledRightly(e *entry) *Violation {
	if len(e.settled) == 0 {
		return nil
	}
	last := e.settled[len(e.settled)-1]
	switch last.Outcome {
	case store.Delivered:
		if !slices.ContainsFunc(e.attempts, func(a *attempt) bool { return a.Answer == Taken }) {
			return e.broken(2, "it is recorded as delivered, and the target took none of its %d attempts", len(e.attempts))
		}
	case store.Superseded:
		if c.Every {
			return e.broken(2, "it is superseded in a lane that wants every event")
		}
		if !c.replaced(e) {
			return e.broken(2, "it is superseded, and no newer event of the problem could take its place")
		}
	case store.Ignored:
		if last.Reason == "" {
			return e.broken(2, "it is ignored without a reason")
		}
	case store.Dead:
		if last.Reason == "" {
			return e.broken(2, "it is dead without a reason")
		}
	default:
		return e.broken(2, "it ended as %d, which is none of the four outcomes", last.Outcome)
	}
	return nil
}

// resent decides the rest of promise 2. It comes after promise 3: what was sent again after something newer is that first.
func (c *checker) resent() *Violation {
	for _, e := range c.accepted {
		if e.outcome() == 0 || e.outcome() == store.Dead {
			continue
		}
		last := e.settled[len(e.settled)-1]
		for _, a := range e.attempts {
			if !last.At.IsZero() && a.Start.After(last.At) {
				return e.broken(2, "it was %v at %s, and sent again at %s", last.Outcome, last.At.UTC().Format(clock), a.Start.UTC().Format(clock))
			}
		}
	}
	return nil
}

// replaced reports whether e may be superseded: it is late, or a newer event of the problem took its place. A recovery may go
// with the trigger that it cancels, and has nothing newer then; promise 4 says whether it was right to go.
func (c *checker) replaced(e *entry) bool {
	if e.late || e.maybe || e.State == guance.StateRecovered {
		return true
	}
	return slices.ContainsFunc(c.problems[e.Problem].entries, func(by *entry) bool {
		return by.Seq > e.Seq && by.outcome() != store.Ignored && (by.stateful() || !e.stateful())
	})
}
