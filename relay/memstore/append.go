package memstore

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	"github.com/guance-relay/guance-relay/guance"
	"github.com/guance-relay/guance-relay/relay/store"
)

// Append implements [store.Store].
func (s *Store) Append(ctx context.Context, b *store.Batch) error {
	return s.do(ctx, Call{Method: "Append", Events: b.Events}, func() error {
		if kept, ok := s.nonces[b.Nonce]; ok {
			s.report(kept, b.Events)
			return nil
		}
		p := newPlan(s.place, b.Served)
		for _, e := range b.Events {
			p.add(e)
		}
		if err := s.full(p.pending); p.pending > 0 && err != nil {
			return err
		}
		if len(p.copies) == 0 {
			s.report(p.reports(), b.Events)
			return nil
		}
		return s.write(func() {
			for _, c := range p.copies {
				s.keep(c)
			}
			kept := p.reports()
			if b.Nonce != "" {
				s.nonces[b.Nonce] = kept
			}
			s.report(kept, b.Events)
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
	store   *place
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

func newPlan(s *place, served []string) *plan {
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

// A report is what Append says of one event.
type report struct {
	duplicate bool
	placed    []store.Placement
}

func (p *plan) reports() []report {
	reports := make([]report, p.events)
	for i := range reports {
		reports[i].duplicate = p.repeats[i]
	}
	for _, c := range p.copies {
		reports[c.index].placed = append(reports[c.index].placed, store.Placement{
			Lane: c.name, Seq: c.seq, Sticky: c.sticky, Outcome: c.outcome,
		})
	}
	return reports
}

// report tells the caller, unless the answer is lost. mu is held.
func (s *Store) report(reports []report, events []*store.Event) {
	if s.cut == AnswersLost {
		return
	}
	for i, r := range reports[:min(len(reports), len(events))] {
		events[i].Duplicate, events[i].Placed = r.duplicate, slices.Clone(r.placed)
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
			if gone.owner.revoke(); l.name != to {
				l.owner.revoke()
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
