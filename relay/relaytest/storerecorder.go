package relaytest

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/guance-relay/guance-relay/relay/store"
)

// A StoreRecorder is a [store.Store] that records the changes of another store: what was appended,
// and what became of it. It may be used concurrently, and by one relay after another. A call that
// fails counts as one that changed nothing. It must see every change from the first one on.
//
// [StoreRecorder.LaneHistory] returns what happened in one lane. [StoreRecorder.CheckRouting] tests
// which lanes got each event.
type StoreRecorder struct {
	store.Store

	mu    sync.Mutex
	calls int    // begun or ended
	steps []step // in the order of their end
}

// RecordStore returns a recorder in front of a store.
func RecordStore(db store.Store) *StoreRecorder { return &StoreRecorder{Store: db} }

// Use passes later calls to db, which has all that the store before it had: see
// memstore.Store.Restart. It must not be called while other calls are made.
func (r *StoreRecorder) Use(db store.Store) { r.Store = db }

// A step is a change of the store.
type step struct {
	began, ended int // places in the order in which calls begin and end
	at           time.Time
	appended     []*Appended
	lane         string // of the rest; of a renaming: its earlier name
	marks        []store.Mark
	revived      uint64
	dropped      uint64
	renamed      string
}

// An Appended is an event that a store took, and what it did with it.
type Appended struct {
	// Event is the event with what the store said of it. Events of one batch share Batch.
	Event store.Event
	Batch *store.Batch
	// At is when the store had made the change.
	At time.Time
}

// do makes a call and records the step that fn returns.
func (r *StoreRecorder) do(fn func() (step, error)) error {
	r.mu.Lock()
	r.calls++
	began := r.calls
	r.mu.Unlock()
	s, err := fn()
	r.mu.Lock()
	defer r.mu.Unlock()
	r.calls++
	if err == nil {
		s.began, s.ended, s.at = began, r.calls, time.Now()
		for _, a := range s.appended {
			a.At = s.at
		}
		r.steps = append(r.steps, s)
	}
	return err
}

// Append implements [store.Store].
func (r *StoreRecorder) Append(ctx context.Context, b *store.Batch) error {
	return r.do(func() (s step, err error) {
		if err = r.Store.Append(ctx, b); err != nil {
			return s, err
		}
		for _, e := range b.Events {
			a := &Appended{Event: *e, Batch: b}
			a.Event.Body = slices.Clone(e.Body)
			a.Event.Wanted, a.Event.Placed = slices.Clone(e.Wanted), slices.Clone(e.Placed)
			s.appended = append(s.appended, a)
		}
		return s, nil
	})
}

// Rename implements [store.Store].
func (r *StoreRecorder) Rename(ctx context.Context, from, to string) error {
	return r.do(func() (step, error) {
		return step{lane: from, renamed: to}, r.Store.Rename(ctx, from, to)
	})
}

// Acquire implements [store.Store].
func (r *StoreRecorder) Acquire(ctx context.Context, g store.Group) (store.Lease, error) {
	l, err := r.Store.Acquire(ctx, g)
	if err != nil {
		return nil, err
	}
	return &recordedLease{l, r}, nil
}

type recordedLease struct {
	store.Lease
	recorder *StoreRecorder
}

func (l *recordedLease) Lane(name string) store.Lane {
	return &recordedLane{l.Lease.Lane(name), l.recorder, name}
}

type recordedLane struct {
	store.Lane
	recorder *StoreRecorder
	name     string
}

func (l *recordedLane) Mark(ctx context.Context, marks []store.Mark) error {
	return l.recorder.do(func() (step, error) {
		return step{lane: l.name, marks: slices.Clone(marks)}, l.Lane.Mark(ctx, marks)
	})
}

func (l *recordedLane) Revive(ctx context.Context, seq uint64) (e *store.Entry, err error) {
	err = l.recorder.do(func() (step, error) {
		e, err = l.Lane.Revive(ctx, seq)
		return step{lane: l.name, revived: seq}, err
	})
	return e, err
}

func (l *recordedLane) Drop(ctx context.Context, seq uint64) error {
	return l.recorder.do(func() (step, error) {
		return step{lane: l.name, dropped: seq}, l.Lane.Drop(ctx, seq)
	})
}

// Appended returns the events that the store took, in the order in which it did.
func (r *StoreRecorder) Appended() (all []*Appended) {
	for _, s := range r.recorded() {
		all = append(all, s.appended...)
	}
	return all
}

func (r *StoreRecorder) recorded() []step {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.steps)
}
