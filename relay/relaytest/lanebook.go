package relaytest

import (
	"maps"
	"slices"
	"time"

	"github.com/guance-relay/guance-relay/guance"
	"github.com/guance-relay/guance-relay/relay/store"
)

// A book follows the steps of a store. It is the simplest store that keeps the contract of Append,
// and shares no code with the others.
type book struct {
	lanes map[string]*bookLane // by each name of a lane
	seen  map[eventID]bool     // events that were kept
}

type eventID struct{ source, id string }

// A bookLane is what the store has of a lane.
type bookLane struct {
	name     string // the present one
	accepted []Accepted
	entries  map[uint64]*bookEntry // pending or dead
	open     map[string]bool       // the problems that the target may show
	pending  int
	ended    map[end]time.Time // when the store made the mark
	// early are marks of entries of which Append has not returned yet. known are the others.
	early map[uint64][]store.Mark
	known map[uint64]bool
}

// A bookEntry is a pending entry or a dead letter.
type bookEntry struct {
	problem string
	state   guance.State
	dead    bool
}

// An end is an outcome as a store records it: with the wall clock.
type end struct {
	seq uint64
	at  int64
}

func newBook() *book {
	return &book{lanes: make(map[string]*bookLane), seen: make(map[eventID]bool)}
}

func (b *book) lane(name string) *bookLane {
	l := b.lanes[name]
	if l == nil {
		l = &bookLane{name: name, entries: make(map[uint64]*bookEntry), open: make(map[string]bool),
			ended: make(map[end]time.Time), early: make(map[uint64][]store.Mark),
			known: make(map[uint64]bool)}
		b.lanes[name] = l
	}
	return l
}

// all returns each lane once, by its present name.
func (b *book) all() (lanes []*bookLane) {
	for _, name := range slices.Sorted(maps.Keys(b.lanes)) {
		if l := b.lanes[name]; l.name == name {
			lanes = append(lanes, l)
		}
	}
	return lanes
}

// apply takes a step that appends nothing.
func (b *book) apply(s step) {
	if s.renamed != "" {
		b.rename(s.lane, s.renamed)
		return
	}
	l := b.lane(s.lane)
	for _, m := range s.marks {
		l.mark(m, s.at)
	}
	if e := l.entries[s.revived]; e != nil && e.dead {
		e.dead = false
		l.pending++
	}
	if e := l.entries[s.dropped]; e != nil && e.dead {
		delete(l.entries, s.dropped)
	}
}

// add takes an event that was appended.
func (b *book) add(a *Appended) {
	e := &a.Event
	for _, p := range e.Placed {
		l := b.lane(p.Lane)
		l.accepted = append(l.accepted, Accepted{
			Seq: p.Seq, ID: e.ID, Problem: e.Problem, State: e.State, Level: e.Level, Time: e.Time,
			At: a.At, Sticky: p.Sticky && !e.Follows, // the lane that has the problem wants it
		})
		if p.Outcome != 0 {
			l.ended[end{p.Seq, e.Accepted.UnixNano()}] = a.At
		}
		if p.Outcome != store.Ignored {
			l.entries[p.Seq] = &bookEntry{e.Problem, e.State, p.Outcome == store.Dead}
		}
		if p.Outcome == 0 {
			l.pending++
		}
		l.known[p.Seq] = true
		for _, m := range l.early[p.Seq] {
			l.progress(m)
		}
		delete(l.early, p.Seq)
	}
	if e.ID != "" && len(e.Placed) > 0 {
		b.seen[eventID{e.Source, e.ID}] = true
	}
}

// rename gives a lane another name. Both names mean it from now on.
func (b *book) rename(from, to string) {
	l, gone := b.lane(from), b.lane(to)
	if len(l.accepted) == 0 {
		l, gone = gone, l
	}
	for name, other := range b.lanes {
		if other == gone {
			b.lanes[name] = l
		}
	}
	l.name = to
}

func (l *bookLane) mark(m store.Mark, at time.Time) {
	if m.Outcome != 0 {
		if e := (end{m.Seq, m.At.UnixNano()}); l.ended[e].IsZero() {
			l.ended[e] = at
		}
	}
	if !l.known[m.Seq] {
		l.early[m.Seq] = append(l.early[m.Seq], m)
		return
	}
	l.progress(m)
}

// progress changes what the lane holds.
func (l *bookLane) progress(m store.Mark) {
	e := l.entries[m.Seq]
	if e == nil || e.dead {
		return // it has ended
	}
	switch {
	case m.State == guance.StateProblem && (m.Outcome == 0 || m.Outcome == store.Delivered):
		l.open[m.Problem] = true
	case m.State == guance.StateRecovered && m.Outcome == store.Delivered:
		l.open[m.Problem] = false
	}
	if m.Outcome == 0 {
		return
	}
	l.pending--
	if m.Outcome == store.Dead {
		e.dead = true
		return
	}
	delete(l.entries, m.Seq)
}

// holds reports whether the lane gets the events of a problem that it does not want.
func (l *bookLane) holds(problem string) bool {
	for _, e := range l.entries {
		if e.problem == problem {
			return true
		}
	}
	return l.open[problem]
}

// goesOn reports whether the target shows a problem, and no recovery is pending.
func (l *bookLane) goesOn(problem string) bool {
	for _, e := range l.entries {
		if e.problem == problem && !e.dead && e.state == guance.StateRecovered {
			return false
		}
	}
	return l.open[problem]
}
