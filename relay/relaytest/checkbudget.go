package relaytest

import (
	"fmt"
	"slices"

	"github.com/guance-relay/guance-relay/relay/store"
)

// overspent tests promise 5, the budget.
func (c *checker) overspent() *Violation {
	sent := make([]*attempt, 0, len(c.attempts))
	for _, a := range c.attempts {
		if a.Answer != Unsent {
			sent = append(sent, a)
		}
	}
	// A window with more than n attempts has n+1 consecutive ones in it.
	for i := c.PerMinute; c.PerMinute >= 0 && i < len(sent); i++ {
		if first := sent[i-c.PerMinute]; sent[i].Start.Sub(first.Start) < c.Window {
			return &Violation{Promise: 5, Problem: sent[i].Problem, Seq: sent[i].entry.Seq,
				Text: fmt.Sprintf(
					"%d attempts within %v, allowed are %d in %v: the first at %s, this one at %s",
					c.PerMinute+1, sent[i].Start.Sub(first.Start),
					c.PerMinute, c.Window, first.Start.UTC().Format(clock),
					sent[i].Start.UTC().Format(clock))}
		}
	}
	for _, e := range c.accepted {
		if e.outcome() != store.Dead || len(e.attempts) == 0 {
			continue
		}
		at := e.settled[len(e.settled)-1].At
		young := !at.IsZero() && at.Sub(e.At) < c.MaxAge
		if young && !slices.ContainsFunc(e.attempts,
			func(a *attempt) bool { return a.Answer != Throttled }) {
			return e.broken(5, "it is dead at the age of %v, and all that happened to it was "+
				"being throttled, %d times", at.Sub(e.At), len(e.attempts))
		}
	}
	return nil
}
