package relaytest

import (
	"fmt"
	"slices"

	"github.com/guance-relay/guance-relay/guance"
	"github.com/guance-relay/guance-relay/relay/store"
)

// broken returns a violation of promise n by e.
func (e *entry) broken(n int, format string, args ...any) *Violation {
	return &Violation{Promise: n, Problem: e.Problem, Seq: e.Seq,
		Text: fmt.Sprintf(format, args...)}
}

// vanished tests promise 2, the outcomes.
func (c *checker) vanished() *Violation {
	if len(c.orphans) > 0 {
		return &Violation{Promise: 2, Text: c.orphans[0]}
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

// settledOnce tests that e has one outcome, or several of which all but the last are dead.
func (c *checker) settledOnce(e *entry) *Violation {
	if len(e.settled) == 0 {
		if c.unfinished || e.neverWas() {
			return nil
		}
		return e.broken(2, "it was accepted and has no outcome after %d attempts", len(e.attempts))
	}
	for i, s := range e.settled[1:] {
		if before := e.settled[i].Outcome; before != store.Dead {
			return e.broken(2, "it has two outcomes, %v and then %v; only what is dead can be "+
				"replayed", before, s.Outcome)
		}
	}
	return nil
}

// settledRightly tests the last outcome against what was sent and accepted.
func (c *checker) settledRightly(e *entry) *Violation {
	if len(e.settled) == 0 {
		return nil
	}
	last := e.settled[len(e.settled)-1]
	switch last.Outcome {
	case store.Delivered:
		if !slices.ContainsFunc(e.attempts, func(a *attempt) bool { return a.Answer == Taken }) {
			return e.broken(2, "it is recorded as delivered, and the target took none of its %d "+
				"attempts", len(e.attempts))
		}
	case store.Superseded:
		if c.Every && !e.Sticky {
			return e.broken(2, "it is superseded in a lane that wants every event")
		}
		if !c.replaced(e) {
			return e.broken(2, "it is superseded, and no newer event of the problem could take "+
				"its place")
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

// resent tests the rest of promise 2. It runs after promise 3: an entry that was sent again after a
// newer one breaks that.
func (c *checker) resent() *Violation {
	for _, e := range c.accepted {
		if e.outcome() == 0 || e.outcome() == store.Dead {
			continue
		}
		last := e.settled[len(e.settled)-1]
		for _, a := range e.attempts {
			if !last.At.IsZero() && a.Start.After(last.At) {
				return e.broken(2, "it was %v at %s, and sent again at %s", last.Outcome,
					last.At.UTC().Format(clock), a.Start.UTC().Format(clock))
			}
		}
	}
	return nil
}

// replaced reports whether e may be superseded: it is late, or the problem has a newer event. A
// recovery may also cancel a trigger, and a sticky entry may change nothing: these need no newer
// event. Promise 4 and misplaced test whether that was right.
func (c *checker) replaced(e *entry) bool {
	return e.late || e.maybe || e.State == guance.StateRecovered || e.Sticky || c.newer(e)
}

// newer reports whether the problem has a newer event that can take the place of e.
func (c *checker) newer(e *entry) bool {
	return slices.ContainsFunc(c.problems[e.Problem].entries, func(by *entry) bool {
		// What a sink ignores supersedes nothing, unless the lane had no sink when it was read.
		return by.Seq > e.Seq && (by.outcome() != store.Ignored || by.Sticky) &&
			(by.stateful() || !e.stateful())
	})
}
