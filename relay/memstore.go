package relay

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"
)

// MemStore is a Store for tests. It is NOT durable: everything is gone when the process ends, and so is promise 1.
type MemStore struct {
	mu    sync.Mutex
	lanes map[string]*memLane // guarded by mu
}

type memLane struct {
	seq     uint64
	epoch   uint64
	entries map[uint64]*Entry
	order   []uint64
	seen    map[string]bool
	records map[string]Record
	settled []Settlement
	dead    map[uint64]Settlement
	grown   chan struct{} // closed and replaced when an entry is appended or the owner changes
}

// NewMemStore returns an empty store.
func NewMemStore() *MemStore { return &MemStore{lanes: make(map[string]*memLane)} }

var _ Store = (*MemStore)(nil)

// lane returns a lane, made on first use. mu is held.
func (s *MemStore) lane(name string) *memLane {
	l := s.lanes[name]
	if l == nil {
		l = &memLane{
			entries: make(map[uint64]*Entry), seen: make(map[string]bool), records: make(map[string]Record),
			dead: make(map[uint64]Settlement), grown: make(chan struct{}),
		}
		s.lanes[name] = l
	}
	return l
}

// Append implements [Store].
func (s *MemStore) Append(ctx context.Context, entries []*Entry) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, e := range entries {
		l := s.lane(e.Lane)
		if e.ID != "" && l.seen[e.ID] {
			continue
		}
		if e.ID != "" {
			l.seen[e.ID] = true
		}
		l.seq++
		e.Seq = l.seq
		if e.Ignored != "" {
			l.settle(*e, Ignored, e.Ignored, e.Accepted)
			continue
		}
		kept := *e
		kept.Body = slices.Clone(e.Body)
		l.entries[e.Seq] = &kept
		l.order = append(l.order, e.Seq)
		close(l.grown)
		l.grown = make(chan struct{})
	}
	return nil
}

// Acquire implements [Store].
func (s *MemStore) Acquire(_ context.Context, lane string) (Lease, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	l := s.lane(lane)
	l.epoch++
	close(l.grown)
	l.grown = make(chan struct{})
	return &memLease{s, l, l.epoch}, nil
}

// Check implements [Store].
func (s *MemStore) Check(context.Context) error { return nil }

// Holdings implements [Store].
func (s *MemStore) Holdings(context.Context) (map[string]Holdings, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	holdings := make(map[string]Holdings)
	for name, l := range s.lanes {
		if h := (Holdings{Pending: len(l.entries), Dead: len(l.dead)}); h != (Holdings{}) {
			holdings[name] = h
		}
	}
	return holdings, nil
}

// History implements [Store].
func (s *MemStore) History(_ context.Context, lane, problem string) ([]Settlement, error) {
	return s.find(lane, func(st Settlement) bool { return st.Problem == problem }), nil
}

// Settled returns how the entries of a lane ended, in the order in which they did.
func (s *MemStore) Settled(lane string) []Settlement {
	return s.find(lane, func(Settlement) bool { return true })
}

func (s *MemStore) find(lane string, want func(Settlement) bool) (found []Settlement) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, st := range s.lane(lane).settled {
		if want(st) {
			found = append(found, st)
		}
	}
	return found
}

// DeadLetters implements [Store].
func (s *MemStore) DeadLetters(_ context.Context, lane string, after uint64, limit int) (found []Settlement, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	dead := s.lane(lane).dead
	for _, seq := range slices.Sorted(maps.Keys(dead)) {
		if seq > after && len(found) < limit {
			found = append(found, dead[seq])
		}
	}
	return found, nil
}

// settle records an outcome, without the body.
func (l *memLane) settle(e Entry, o Outcome, reason string, at time.Time) {
	e.Body = nil
	l.settled = append(l.settled, Settlement{Entry: e, Outcome: o, Reason: reason, At: at})
}

type memLease struct {
	store *MemStore
	lane  *memLane
	epoch uint64
}

// lock takes the store's mutex if the lease is still good.
func (l *memLease) lock() error {
	l.store.mu.Lock()
	if l.lane.epoch != l.epoch {
		l.store.mu.Unlock()
		return ErrFenced
	}
	return nil
}

func (l *memLease) Read(ctx context.Context, after uint64, limit int) ([]*Entry, error) {
	for {
		if err := l.lock(); err != nil {
			return nil, err
		}
		var found []*Entry
		from, _ := slices.BinarySearch(l.lane.order, after+1)
		for _, seq := range l.lane.order[from:] {
			if e := l.lane.entries[seq]; e != nil && len(found) < limit {
				header := *e
				header.Body = nil
				found = append(found, &header)
			}
		}
		grown := l.lane.grown
		l.store.mu.Unlock()
		if len(found) > 0 {
			return found, nil
		}
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-grown:
		}
	}
}

func (l *memLease) Load(_ context.Context, seq uint64) (*Entry, error) {
	if err := l.lock(); err != nil {
		return nil, err
	}
	defer l.store.mu.Unlock()
	e := l.lane.entries[seq]
	if e == nil {
		return nil, fmt.Errorf("relay: entry %d: %w", seq, ErrNotFound)
	}
	loaded := *e
	loaded.Body = slices.Clone(e.Body)
	return &loaded, nil
}

func (l *memLease) Records(_ context.Context, problems []string) ([]Record, error) {
	if err := l.lock(); err != nil {
		return nil, err
	}
	defer l.store.mu.Unlock()
	records := make([]Record, len(problems))
	for i, problem := range problems {
		records[i] = l.lane.records[problem]
	}
	return records, nil
}

func (l *memLease) Mark(_ context.Context, marks []Mark) error {
	if err := l.lock(); err != nil {
		return err
	}
	defer l.store.mu.Unlock()
	for _, m := range marks {
		e := l.lane.entries[m.Seq]
		if e == nil {
			continue // settled before
		}
		l.lane.records[m.Problem] = l.lane.records[m.Problem].Apply(m)
		if m.Outcome == 0 {
			e.Begun, e.Failed = true, m.Failed
			continue
		}
		if m.Outcome == Dead {
			l.lane.dead[m.Seq] = Settlement{Entry: *e, Outcome: Dead, Reason: m.Reason, At: m.At}
		}
		l.lane.settle(*e, m.Outcome, m.Reason, m.At)
		delete(l.lane.entries, m.Seq)
		if i, ok := slices.BinarySearch(l.lane.order, m.Seq); ok {
			l.lane.order = slices.Delete(l.lane.order, i, i+1)
		}
	}
	return nil
}

func (l *memLease) Revive(_ context.Context, seq uint64) (*Entry, error) {
	if err := l.lock(); err != nil {
		return nil, err
	}
	defer l.store.mu.Unlock()
	st, ok := l.lane.dead[seq]
	if !ok {
		return nil, fmt.Errorf("relay: entry %d: %w", seq, ErrNotFound)
	}
	delete(l.lane.dead, seq)
	e := st.Entry
	e.Begun, e.Failed = true, 0
	l.lane.entries[seq] = &e
	i, _ := slices.BinarySearch(l.lane.order, seq)
	l.lane.order = slices.Insert(l.lane.order, i, seq)
	header := e
	header.Body = nil
	return &header, nil
}

func (l *memLease) Drop(_ context.Context, seq uint64) error {
	if err := l.lock(); err != nil {
		return err
	}
	defer l.store.mu.Unlock()
	if _, ok := l.lane.dead[seq]; !ok {
		return fmt.Errorf("relay: entry %d: %w", seq, ErrNotFound)
	}
	delete(l.lane.dead, seq)
	return nil
}

func (l *memLease) Release() error {
	l.store.mu.Lock()
	defer l.store.mu.Unlock()
	if l.lane.epoch == l.epoch {
		l.lane.epoch++
		close(l.lane.grown)
		l.lane.grown = make(chan struct{})
	}
	return nil
}
