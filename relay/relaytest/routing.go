package relaytest

import (
	"context"
	"fmt"
	"slices"

	"github.com/guance-relay/guance-relay/relay/store"
)

// A Configuration is what the lanes of a relay say of one event.
type Configuration struct {
	Wanted   []string // the lanes that want it
	Fallback string   // the fallback; empty if there is none
	Served   []string // all lanes that have a sink
}

// RoutingRules are what [StoreRecorder.CheckRouting] needs to know. A nil *RoutingRules and a zero
// field mean that it is not tested.
type RoutingRules struct {
	// Configurations returns the configuration at the moment of an event. While the lanes change,
	// there are two, and either is right.
	Configurations func(*Appended) []Configuration
	// LaneLimit is how many pending entries a lane may hold.
	LaneLimit int
}

// LaneHistory returns what happened in a lane, without its attempts. The settlements are those that
// the store has now, with the time at which it got them. The store must not have deleted any.
func (r *StoreRecorder) LaneHistory(ctx context.Context, lane string) (*History, error) {
	b := newBook()
	for _, s := range r.recorded() {
		for _, a := range s.appended {
			b.add(a)
		}
		if s.appended == nil {
			b.apply(s)
		}
	}
	l := b.lane(lane)
	h := &History{Accepted: l.accepted}
	var err error
	if h.Settled, err = Settled(ctx, r.Store, lane, h.Accepted); err != nil {
		return nil, err
	}
	for i, s := range h.Settled {
		at, ok := l.ended[end{s.Seq, s.At.UnixNano()}]
		if !ok {
			return nil, fmt.Errorf("relaytest: entry %d of lane %q ended at %v, and no call said so",
				s.Seq, lane, s.At)
		}
		h.Settled[i].At = at
	}
	return h, nil
}

// CheckRouting tests which lanes got each event, and returns the first *[Violation]:
//
//   - The relay offers an event to the lanes that want it, and to the fallback if there are none.
//   - The lanes that it was offered to have it. The fallback has it if no other lane with a sink
//     goes on to show the problem, and only then. What follows a problem, see [store.Event], it has
//     only if no other lane with a sink holds the problem.
//   - Each other lane that held the problem has it, sticky: a lane with a pending entry, a dead
//     letter or an open record of it. No further lane has it.
//   - A duplicate, and no other event, is in no lane. The store must remember all IDs.
//   - In a lane that is full it is dead, and in no other.
//
// What a lane held is what the calls before left there. A call that was made at the same time may
// have come before or after: then either answer is right, for this lane and problem alone. Events
// during a renaming are not tested.
//
// Together with [History.Check] of each lane it shows that, in every lane, the target shows what
// Guance last said of each problem that the lane has.
func (r *StoreRecorder) CheckRouting(rules *RoutingRules) error {
	if rules == nil {
		rules = &RoutingRules{}
	}
	b, steps := newBook(), r.recorded()
	for i, s := range steps {
		if s.appended == nil {
			b.apply(s)
			continue
		}
		near := nearby(steps, i)
		for _, a := range s.appended {
			c := &routingCheck{book: b, event: a, near: near, rules: rules}
			if v := c.violation(); v != nil {
				return v
			}
			b.add(a)
		}
	}
	return nil
}

// nearby returns the steps that were made while step i was.
func nearby(steps []step, i int) (near []step) {
	for j := range steps {
		if j != i && steps[j].began < steps[i].ended && steps[j].ended > steps[i].began {
			near = append(near, steps[j])
		}
	}
	return near
}

// A routingCheck tests one event.
type routingCheck struct {
	book  *book
	event *Appended
	near  []step
	rules *RoutingRules
}

func (c *routingCheck) broken(promise int, format string, args ...any) *Violation {
	e := &c.event.Event
	text := fmt.Sprintf("event %q (%v %v) of %s: ", e.ID, e.State, e.Level,
		c.event.At.UTC().Format(clock))
	return &Violation{Promise: promise, Problem: e.Problem, Text: text + fmt.Sprintf(format, args...)}
}

func (c *routingCheck) violation() *Violation {
	for _, s := range c.near {
		if s.renamed != "" {
			return nil
		}
	}
	if v := c.offered(); v != nil {
		return v
	}
	e := &c.event.Event
	known := c.book.seen[eventID{e.Source, e.ID}]
	switch {
	case e.Duplicate && len(e.Placed) > 0:
		return c.broken(2, "it is a duplicate and got %+v", e.Placed)
	case e.Duplicate && !known && !c.copied():
		return c.broken(2, "it is called a duplicate, and no event of its source with its ID was kept")
	case !e.Duplicate && known && !c.copied():
		return c.broken(2, "it was kept before, and got %+v", e.Placed)
	case e.Duplicate:
		return nil
	}
	return c.placed()
}

// copied reports whether an event with the same ID was appended at the same time.
func (c *routingCheck) copied() bool {
	e := &c.event.Event
	for _, s := range c.near {
		for _, a := range s.appended {
			if a.Event.ID == e.ID && a.Event.Source == e.Source {
				return true
			}
		}
	}
	return false
}

// offered tests what the relay asked of the store.
func (c *routingCheck) offered() *Violation {
	if c.rules.Configurations == nil {
		return nil
	}
	e := &c.event.Event
	var wanted []string
	for _, o := range e.Wanted {
		wanted = append(wanted, o.Lane)
	}
	fallback := ""
	if e.Fallback != nil {
		fallback = e.Fallback.Lane
	}
	configurations := c.rules.Configurations(c.event)
	for _, want := range configurations {
		if !sameNames(wanted, want.Wanted) || !sameNames(c.event.Batch.Served, want.Served) {
			continue
		}
		if fallback == want.Fallback || len(wanted) > 0 && fallback == "" {
			return nil
		}
	}
	return c.broken(1, "it was offered to the lanes %q and the fallback %q, with %q served; the "+
		"configuration says %+v", wanted, fallback, c.event.Batch.Served, configurations)
}

func sameNames(a, b []string) bool {
	return slices.Equal(slices.Sorted(slices.Values(a)), slices.Sorted(slices.Values(b)))
}

// placed tests what the store did with an event that is no duplicate.
func (c *routingCheck) placed() *Violation {
	e := &c.event.Event
	got := make(map[*bookLane]store.Placement)
	for _, p := range e.Placed {
		l := c.book.lane(p.Lane)
		if _, twice := got[l]; twice {
			return c.broken(2, "lane %q has it twice", l.name)
		}
		got[l] = p
		if v := c.full(l, p); v != nil {
			return v
		}
	}
	for _, o := range e.Wanted {
		l := c.book.lane(o.Lane)
		if p, ok := got[l]; !ok || p.Sticky {
			return c.broken(1, "lane %q wants it, and got %+v", l.name, got[l])
		}
	}
	for _, o := range e.Wanted { // two offers may name one lane
		delete(got, c.book.lane(o.Lane))
	}
	if e.Fallback != nil && len(e.Wanted) == 0 {
		l := c.book.lane(e.Fallback.Lane)
		p, ok := got[l]
		took := ok && !p.Sticky
		by, sure := c.goesOn(l)
		switch {
		case !took && by == nil:
			return c.broken(1, "no lane wants it or goes on to show its problem, and the fallback %q got "+
				"%+v", l.name, p)
		case took && by != nil && sure:
			return c.broken(1, "lane %q goes on to show its problem, and the fallback has it too", by.name)
		}
		if took {
			delete(got, l)
		}
	}
	return c.sticky(got)
}

// sticky tests the lanes that the event was not offered to.
func (c *routingCheck) sticky(got map[*bookLane]store.Placement) *Violation {
	e := &c.event.Event
	offered := make(map[*bookLane]bool)
	for _, p := range e.Placed {
		if l := c.book.lane(p.Lane); !p.Sticky {
			offered[l] = true
		}
	}
	for _, l := range c.book.all() {
		p, ok := got[l]
		switch {
		case ok && !p.Sticky:
			return c.broken(1, "lane %q was not offered it, and its entry %d is not sticky", l.name, p.Seq)
		case offered[l] || c.changing(l):
		case ok && !l.holds(e.Problem):
			return c.broken(1, "lane %q neither wants it nor holds its problem, and has it", l.name)
		case !ok && l.holds(e.Problem):
			return c.broken(4, "lane %q holds its problem, and does not have it", l.name)
		}
	}
	return nil
}

// goesOn returns a served lane that goes on to show the problem, or holds one that the event
// follows, other than the fallback. It is not sure if what the lane has of the problem changed at
// the same time.
func (c *routingCheck) goesOn(fallback *bookLane) (by *bookLane, sure bool) {
	e := &c.event.Event
	for _, name := range c.event.Batch.Served {
		l := c.book.lane(name)
		switch {
		case l == fallback:
		case c.changing(l):
			if by == nil {
				by = l
			}
		case l.goesOn(e.Problem), e.Follows && l.holds(e.Problem):
			return l, true
		}
	}
	return by, false
}

// full tests whether the entry is dead because the lane was full.
func (c *routingCheck) full(l *bookLane, p store.Placement) *Violation {
	limit := c.rules.LaneLimit
	for _, s := range c.near {
		if s.touches(c.book, l, "") {
			return nil
		}
	}
	switch full := limit > 0 && l.pending >= limit; {
	case limit == 0 && p.Outcome == store.Dead:
		return nil
	case full && p.Outcome == 0:
		return c.broken(7, "lane %q holds %d pending entries of %d, and one more is pending", l.name,
			l.pending, limit)
	case !full && p.Outcome == store.Dead:
		return c.broken(7, "lane %q holds %d pending entries of %d, and the event is dead there", l.name,
			l.pending, limit)
	}
	return nil
}

// changing reports whether what the lane has of the problem changed at the same time.
func (c *routingCheck) changing(l *bookLane) bool {
	return slices.ContainsFunc(c.near, func(s step) bool {
		return s.touches(c.book, l, c.event.Event.Problem)
	})
}

// touches reports whether the step changes what a lane has of a problem, or of any if it is empty.
func (s *step) touches(b *book, l *bookLane, problem string) bool {
	of := func(p string) bool { return problem == "" || p == problem }
	for _, a := range s.appended {
		for _, p := range a.Event.Placed {
			if b.lane(p.Lane) == l && of(a.Event.Problem) {
				return true
			}
		}
	}
	if s.lane == "" || b.lane(s.lane) != l {
		return false
	}
	for _, m := range s.marks {
		if of(m.Problem) {
			return true
		}
	}
	return s.revived != 0 || s.dropped != 0
}
