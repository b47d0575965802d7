package memstore

import (
	"maps"
	"slices"
	"time"

	"github.com/guance-relay/guance-relay/relay/store"
)

// A lane is what the store has of one lane. The store's mu guards it.
type lane struct {
	name    string                  // the present one
	seq     uint64                  // of the newest entry; 0: the lane was not used
	owner   *lease                  // the newest; nil: none yet
	entries map[uint64]*store.Entry // never changed, but replaced
	order   []uint64                // of entries
	held    map[string]holding      // by problem
	records map[string]store.Record
	settled []store.Settlement
	dead    map[uint64]store.Settlement
	pause   store.Pause
	grown   chan struct{} // closed and replaced when an entry is appended or the owner changes
}

func newLane(name string) *lane {
	return &lane{
		name: name, entries: make(map[uint64]*store.Entry), held: make(map[string]holding),
		records: make(map[string]store.Record), dead: make(map[uint64]store.Settlement),
		grown: make(chan struct{}),
	}
}

// clone returns a copy without an owner.
func (l *lane) clone() *lane {
	return &lane{
		name: l.name, seq: l.seq, entries: maps.Clone(l.entries), order: slices.Clone(l.order),
		held: maps.Clone(l.held), records: maps.Clone(l.records), settled: slices.Clone(l.settled),
		dead: maps.Clone(l.dead), pause: l.pause, grown: make(chan struct{}),
	}
}

// wake has the readers look again.
func (l *lane) wake() {
	close(l.grown)
	l.grown = make(chan struct{})
}

// append adds an entry that is pending or has ended at once, and returns its sequence number.
func (l *lane) append(e store.Entry, o store.Outcome, reason string) uint64 {
	l.seq++
	e.Seq = l.seq
	if o == store.Ignored {
		l.settle(e, o, reason, e.Accepted)
		return e.Seq
	}
	l.insert(&e)
	if o == store.Dead {
		l.mark(store.Mark{
			Seq: e.Seq, Problem: e.Problem, State: e.State, Level: e.Level, Outcome: o,
			Reason: reason, At: e.Accepted,
		})
	}
	l.wake()
	return e.Seq
}

// insert adds a pending entry.
func (l *lane) insert(e *store.Entry) {
	l.entries[e.Seq] = e
	i, _ := slices.BinarySearch(l.order, e.Seq)
	l.order = slices.Insert(l.order, i, e.Seq)
	l.hold(e.Problem, l.held[e.Problem].plus(pendingOf(e.State)))
}

// remove removes a pending entry.
func (l *lane) remove(e *store.Entry) {
	delete(l.entries, e.Seq)
	i, _ := slices.BinarySearch(l.order, e.Seq)
	l.order = slices.Delete(l.order, i, i+1)
	l.hold(e.Problem, l.held[e.Problem].minus(pendingOf(e.State)))
}

// bury adds a dead letter, and unbury removes one.
func (l *lane) bury(st store.Settlement) {
	l.dead[st.Seq] = st
	l.hold(st.Problem, l.held[st.Problem].plus(holding{dead: 1}))
}

func (l *lane) unbury(st store.Settlement) {
	delete(l.dead, st.Seq)
	l.hold(st.Problem, l.held[st.Problem].minus(holding{dead: 1}))
}

func (l *lane) hold(problem string, h holding) {
	if h == (holding{}) {
		delete(l.held, problem)
		return
	}
	l.held[problem] = h
}

// named returns a settlement with the lane's present name.
func (l *lane) named(st store.Settlement) store.Settlement {
	st.Lane = l.name
	return st
}

// headers returns up to limit pending entries above after, without bodies.
func (l *lane) headers(after uint64, limit int) (found []*store.Entry) {
	from, _ := slices.BinarySearch(l.order, after+1)
	for _, seq := range l.order[from:min(from+limit, len(l.order))] {
		header := *l.entries[seq]
		header.Lane, header.Body = l.name, nil
		found = append(found, &header)
	}
	return found
}

// settle records an outcome, without the body.
func (l *lane) settle(e store.Entry, o store.Outcome, reason string, at time.Time) {
	e.Body = nil
	l.settled = append(l.settled, store.Settlement{Entry: e, Outcome: o, Reason: reason, At: at})
}

// mark records the progress of an entry. It does nothing if the entry has ended.
func (l *lane) mark(m store.Mark) {
	e := l.entries[m.Seq]
	if e == nil {
		return
	}
	l.records[m.Problem] = l.records[m.Problem].Apply(m)
	if m.Outcome == 0 {
		begun := *e
		begun.Begun, begun.Failed = true, m.Failed
		l.entries[m.Seq] = &begun
		return
	}
	if m.Outcome == store.Dead {
		l.bury(store.Settlement{Entry: *e, Outcome: store.Dead, Reason: m.Reason, At: m.At})
	}
	l.settle(*e, m.Outcome, m.Reason, m.At)
	l.remove(e)
}
