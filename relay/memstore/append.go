package memstore

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"

	"github.com/guance-relay/guance-relay/guance"
	"github.com/guance-relay/guance-relay/relay/store"
)

// Append implements [store.Store].
func (s *Store) Append(ctx context.Context, b *store.Batch) error {
	return s.do(ctx, Call{Method: "Append", Events: b.Events}, func() error {
		p := newPlan(s, b.Served)
		for _, e := range b.Events {
			p.add(e)
		}
		if err := s.full(p.pending); p.pending > 0 && err != nil {
			return err
		}
		if len(p.copies) == 0 {
			p.report(b.Events)
			return nil
		}
		return s.write(func() {
			for _, c := range p.copies {
				s.keep(c)
			}
			p.report(b.Events)
		})
	})
}

// keep adds a copy to its lane.
func (s *Store) keep(c *copied) {
	e := store.Entry{
		ID: c.ID, Problem: c.Problem, State: c.State, Level: c.Level, Time: c.Time,
		Accepted: c.Accepted, Trace: c.Trace, Sticky: c.sticky, Kept: s.clock(),
		Body: slices.Clone(c.Body),
	}
	c.seq = c.lane.append(e, c.outcome, c.reason)
	if c.ID != "" {
		if s.seen[c.Source] == nil {
			s.seen[c.Source] = make(map[string]bool)
		}
		s.seen[c.Source][c.ID] = true
	}
}

// A copied is one event in one lane, before it is written.
type copied struct {
	*store.Event
	index   int // of the event in its batch
	lane    *lane
	name    string // of the lane, for the caller
	sticky  bool
	outcome store.Outcome
	reason  string
	seq     uint64
}

// A plan is what an Append will write. Each event sees what the earlier ones of the batch will
// leave in the lanes.
type plan struct {
	store   *Store
	served  map[*lane]string // with the name that the caller has for the lane
	events  int
	copies  []*copied
	pending int // copies that will be pending
	added   map[heldKey]holding
	full    map[*lane]int // copies that will be pending in the lane
	seen    map[idKey]bool
	repeats map[int]bool // by index of the event: it is a duplicate
}

type heldKey struct {
	lane    *lane
	problem string
}

type idKey struct{ source, id string }

func newPlan(s *Store, served []string) *plan {
	p := &plan{
		store: s, served: make(map[*lane]string), added: make(map[heldKey]holding),
		full: make(map[*lane]int), seen: make(map[idKey]bool), repeats: make(map[int]bool),
	}
	for _, name := range served {
		p.served[s.lane(name)] = name
	}
	return p
}

// add decides which lanes an event goes to.
func (p *plan) add(e *store.Event) {
	i, before := p.events, len(p.copies)
	p.events++
	id := idKey{e.Source, e.ID}
	if e.ID != "" && (p.seen[id] || p.store.seen[e.Source][e.ID]) {
		p.repeats[i] = true
		return
	}
	offers := e.Wanted
	if len(offers) == 0 && e.Fallback != nil && !p.taken(e) {
		offers = []store.Offer{*e.Fallback}
	}
	offered := make(map[*lane]bool)
	var sticky []*lane
	for _, o := range offers {
		offered[p.store.lane(o.Lane)] = true
	}
	for _, l := range p.store.sorted() {
		if !offered[l] && p.holds(l, e.Problem) {
			sticky = append(sticky, l)
		}
	}
	for _, o := range offers {
		if l := p.store.lane(o.Lane); offered[l] {
			offered[l] = false // two names of one lane
			p.place(&copied{
				Event: e, index: i, lane: l, name: o.Lane, outcome: ignored(o), reason: o.Ignored,
			})
		}
	}
	for _, l := range sticky {
		name := cmp.Or(p.served[l], l.name)
		p.place(&copied{Event: e, index: i, lane: l, name: name, sticky: true})
	}
	p.seen[id] = len(p.copies) > before
}

// taken reports whether a served lane keeps the event from the fallback: it shows the problem and
// will go on to, or holds a problem that the event follows.
func (p *plan) taken(e *store.Event) bool {
	fallback := p.store.lane(e.Fallback.Lane)
	for l := range p.served {
		shows := l.records[e.Problem].Open && p.held(l, e.Problem).recoveries == 0
		if l != fallback && (shows || e.Follows && p.holds(l, e.Problem)) {
			return true
		}
	}
	return false
}

// holds reports whether a lane gets the events of a problem that it does not want.
func (p *plan) holds(l *lane, problem string) bool {
	h := p.held(l, problem)
	return h.entries > 0 || h.dead > 0 || l.records[problem].Open
}

func (p *plan) held(l *lane, problem string) holding {
	return l.held[problem].plus(p.added[heldKey{l, problem}])
}

func ignored(o store.Offer) store.Outcome {
	if o.Ignored != "" {
		return store.Ignored
	}
	return 0
}

// place adds a copy to the plan.
func (p *plan) place(c *copied) {
	p.copies = append(p.copies, c)
	if c.outcome == 0 && p.store.laneLimit > 0 &&
		len(c.lane.entries)+p.full[c.lane] >= p.store.laneLimit {
		c.outcome, c.reason = store.Dead, store.LaneFull
	}
	key := heldKey{c.lane, c.Problem}
	switch c.outcome {
	case 0:
		p.pending++
		p.full[c.lane]++
		p.added[key] = p.added[key].plus(pendingOf(c.State))
	case store.Dead:
		p.added[key] = p.added[key].plus(holding{dead: 1})
	}
}

// report sets what Append says of the events.
func (p *plan) report(events []*store.Event) {
	for i, e := range events {
		e.Duplicate, e.Placed = p.repeats[i], nil
	}
	for _, c := range p.copies {
		e := events[c.index]
		e.Placed = append(e.Placed, store.Placement{
			Lane: c.name, Seq: c.seq, Sticky: c.sticky, Outcome: c.outcome,
		})
	}
}

// A holding is what a lane has of one problem.
type holding struct{ entries, recoveries, dead int }

func pendingOf(s guance.State) holding {
	if s == guance.StateRecovered {
		return holding{entries: 1, recoveries: 1}
	}
	return holding{entries: 1}
}

func (h holding) plus(o holding) holding {
	return holding{h.entries + o.entries, h.recoveries + o.recoveries, h.dead + o.dead}
}

func (h holding) minus(o holding) holding {
	return holding{h.entries - o.entries, h.recoveries - o.recoveries, h.dead - o.dead}
}

// sorted returns each lane once, by name. mu is held.
func (s *Store) sorted() []*lane {
	lanes := make(map[*lane]bool)
	for _, l := range s.lanes {
		lanes[l] = true
	}
	return slices.SortedFunc(maps.Keys(lanes), func(a, b *lane) int {
		return cmp.Compare(a.name, b.name)
	})
}

// Rename implements [store.Store].
func (s *Store) Rename(ctx context.Context, from, to string) error {
	return s.do(ctx, Call{Method: "Rename", Lane: from}, func() error {
		l, gone := s.lane(from), s.lane(to)
		switch {
		case l == gone && l.name == to:
			return nil
		case l != gone && l.seq > 0 && gone.seq > 0:
			return fmt.Errorf("memstore: renaming lane %q to %q: %w", from, to, store.ErrInUse)
		case l.seq == 0:
			l, gone = gone, l
		}
		return s.write(func() {
			for name, other := range s.lanes {
				if other == gone {
					s.lanes[name] = l
				}
			}
			if gone.owner.end(); l.name != to {
				l.owner.end()
			}
			l.name = to
		})
	})
}

// Renamed implements [store.Store].
func (s *Store) Renamed(ctx context.Context) (renamed map[string]string, err error) {
	err = s.do(ctx, Call{Method: "Renamed"}, func() error {
		renamed = make(map[string]string)
		for name, l := range s.lanes {
			if name != l.name {
				renamed[name] = l.name
			}
		}
		return nil
	})
	return renamed, err
}
