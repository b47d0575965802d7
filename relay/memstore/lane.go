package memstore

import (
	"slices"
	"time"

	"github.com/guance-relay/guance-relay/relay/store"
)

// A lane is what the store has of one lane. The store's mu guards it.
type lane struct {
	seq     uint64 // of the newest entry
	owner   *lease // the newest; nil: none yet
	entries map[uint64]*store.Entry
	order   []uint64 // of entries
	seen    map[string]bool
	records map[string]store.Record
	settled []store.Settlement
	dead    map[uint64]store.Settlement
	grown   chan struct{} // closed and replaced when an entry is appended or the owner changes
}

func newLane() *lane {
	return &lane{
		entries: make(map[uint64]*store.Entry), seen: make(map[string]bool),
		records: make(map[string]store.Record), dead: make(map[uint64]store.Settlement),
		grown: make(chan struct{}),
	}
}

// wake has the readers look again.
func (l *lane) wake() {
	close(l.grown)
	l.grown = make(chan struct{})
}

func (l *lane) append(e *store.Entry) {
	l.seq++
	e.Seq = l.seq
	if e.ID != "" {
		l.seen[e.ID] = true
	}
	if e.Ignored != "" {
		l.settle(*e, store.Ignored, e.Ignored, e.Accepted)
		return
	}
	kept := *e
	kept.Body = slices.Clone(e.Body)
	l.insert(&kept)
	l.wake()
}

func (l *lane) insert(e *store.Entry) {
	l.entries[e.Seq] = e
	i, _ := slices.BinarySearch(l.order, e.Seq)
	l.order = slices.Insert(l.order, i, e.Seq)
}

// headers returns up to limit pending entries above after, without bodies.
func (l *lane) headers(after uint64, limit int) (found []*store.Entry) {
	from, _ := slices.BinarySearch(l.order, after+1)
	for _, seq := range l.order[from:min(from+limit, len(l.order))] {
		header := *l.entries[seq]
		header.Body = nil
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
		e.Begun, e.Failed = true, m.Failed
		return
	}
	if m.Outcome == store.Dead {
		l.dead[m.Seq] = store.Settlement{Entry: *e, Outcome: store.Dead, Reason: m.Reason, At: m.At}
	}
	l.settle(*e, m.Outcome, m.Reason, m.At)
	delete(l.entries, m.Seq)
	i, _ := slices.BinarySearch(l.order, m.Seq)
	l.order = slices.Delete(l.order, i, i+1)
}
