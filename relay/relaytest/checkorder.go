package relaytest

import "github.com/guance-relay/guance-relay/relay/store"

// stale tests promise 3, the order.
func (c *checker) stale() *Violation {
	// by problem: an attempt of the newest entry that was sent
	furthest := make(map[string]*attempt)
	going := make(map[string]*attempt) // by problem: the attempt that ends last
	for _, a := range c.attempts {
		e := a.entry
		if e.outcome() == store.Superseded {
			return e.broken(3, "it is superseded, and was on the wire at %s",
				a.Start.UTC().Format(clock))
		}
		if f := furthest[a.Problem]; f != nil && f.entry.Seq > e.Seq {
			return e.broken(3, "it was sent at %s, after the newer entry %d at %s",
				a.Start.UTC().Format(clock), f.entry.Seq, f.Start.UTC().Format(clock))
		}
		if g := going[a.Problem]; g != nil && g.entry != e && g.End.After(a.Start) {
			return e.broken(3, "it was sent at %s, while entry %d was in flight until %s",
				a.Start.UTC().Format(clock), g.entry.Seq, g.End.UTC().Format(clock))
		}
		furthest[a.Problem] = a
		if g := going[a.Problem]; g == nil || a.End.After(g.End) {
			going[a.Problem] = a
		}
	}
	return nil
}
