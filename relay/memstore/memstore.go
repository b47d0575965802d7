// Package memstore is a store in memory, for tests.
//
//	db := memstore.New()
//	r, err := relay.New(db, nil)
//
// It is NOT durable: everything is gone when the process ends, and so is promise 1. Nothing bounds
// it but [Store.Limit] and [Store.LimitLane], and it remembers all event IDs, outcomes and records.
// Package boltstore is the store for everything else.
//
// Its faults show what a program does with a disk that is slow, refuses, is damaged or fails: see
// [Store.Intercept], [Store.Fail] and [Store.Restart].
package memstore

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/guance-relay/guance-relay/relay/store"
)

// A Store keeps entries in memory. It is safe for concurrent use.
type Store struct {
	opened    time.Time     // with the monotonic clock
	before    time.Duration // the store's time then
	intercept atomic.Pointer[func(Call, func() error) error]

	mu sync.Mutex
	// Guarded by mu:
	lanes     map[string]*lane           // by each name of a lane
	seen      map[string]map[string]bool // event IDs, by source
	limit     int
	laneLimit int
	closed    bool
	end       time.Duration // the store's time when it was closed
	next      *failure
	failed    error
}

var _ store.Store = (*Store)(nil)

// New returns an empty store.
func New() *Store {
	// The time begins at 1, as a Kept of 0 is one that nobody has set.
	return &Store{
		opened: time.Now(), before: 1, lanes: make(map[string]*lane),
		seen: make(map[string]map[string]bool),
	}
}

// Limit bounds the pending entries of all lanes together. Zero: there is no bound.
func (s *Store) Limit(entries int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.limit = entries
}

// LimitLane bounds the pending entries of one lane. What comes above it becomes a dead letter.
// Zero: there is no bound.
func (s *Store) LimitLane(entries int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.laneLimit = entries
}

// Close has every call return [store.ErrClosed] from now on. To close twice is no error.
func (s *Store) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.end, s.closed = s.clock(), true
	s.endLeases()
	return nil
}

// Restart returns the store as it would be after a restart of the process, if it were durable: a
// new one with all that was kept. The old one is closed.
func (s *Store) Restart() *Store {
	_ = s.Close() // never fails
	s.mu.Lock()
	defer s.mu.Unlock()
	restarted := New()
	restarted.before = s.end
	restarted.lanes, restarted.seen = s.lanes, s.seen
	restarted.limit, restarted.laneLimit = s.limit, s.laneLimit
	s.lanes = make(map[string]*lane)
	return restarted
}

// Clock implements [store.Store].
func (s *Store) Clock() time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.clock()
}

// clock is called with mu held.
func (s *Store) clock() time.Duration {
	if s.closed {
		return s.end
	}
	return s.before + time.Since(s.opened)
}

// usable returns why the store cannot be used. mu is held.
func (s *Store) usable(ctx context.Context) error {
	switch {
	case s.closed:
		return fmt.Errorf("memstore: %w", store.ErrClosed)
	case s.failed != nil:
		return fmt.Errorf("memstore: %w: %w", store.ErrFailed, s.failed)
	}
	return ctx.Err()
}

// do makes a call with mu held, if the store is usable.
func (s *Store) do(ctx context.Context, c Call, fn func() error) error {
	c.Context = ctx
	return s.call(c, func() error {
		s.mu.Lock()
		defer s.mu.Unlock()
		if err := s.usable(ctx); err != nil {
			return err
		}
		return fn()
	})
}

// write makes a change, unless Fail said that it fails. mu is held.
func (s *Store) write(change func()) error {
	if s.next == nil || s.next.landed {
		change()
	}
	if s.next == nil {
		return nil
	}
	s.failed = s.next.err
	s.endLeases()
	return s.usable(context.Background())
}

// endLeases ends all ownerships, and so wakes all readers. mu is held.
func (s *Store) endLeases() {
	for _, l := range s.lanes {
		l.owner.end()
	}
}

// lane returns a lane, which it makes at the first call. mu is held.
func (s *Store) lane(name string) *lane {
	l := s.lanes[name]
	if l == nil {
		l = newLane(name)
		s.lanes[name] = l
	}
	return l
}

// full returns ErrFull if n more entries would pass the limit. mu is held.
func (s *Store) full(n int) error {
	pending := 0
	for _, l := range s.sorted() {
		pending += len(l.entries)
	}
	if s.limit > 0 && pending+n > s.limit {
		return fmt.Errorf("memstore: %d entries are pending: %w", pending, store.ErrFull)
	}
	return nil
}

// Acquire implements [store.Store]. It takes the lanes from an earlier owner at once.
func (s *Store) Acquire(ctx context.Context, g store.Group) (acquired store.Lease, err error) {
	err = s.do(ctx, Call{Method: "Acquire"}, func() error {
		l := &lease{store: s, lanes: make(map[string]*lane), lost: make(chan struct{})}
		for _, name := range g.Lanes {
			l.lanes[name] = s.lane(name)
		}
		for _, lane := range l.lanes {
			lane.owner.end()
			lane.owner = l
		}
		acquired = l
		return nil
	})
	if err != nil {
		return nil, err
	}
	return acquired, nil
}

// Check implements [store.Store].
func (s *Store) Check(ctx context.Context) error {
	return s.do(ctx, Call{Method: "Check"}, func() error { return s.full(1) })
}

// Holdings implements [store.Store].
func (s *Store) Holdings(ctx context.Context) (holdings map[string]store.Holdings, err error) {
	err = s.do(ctx, Call{Method: "Holdings"}, func() error {
		holdings = make(map[string]store.Holdings)
		for _, l := range s.sorted() {
			h := store.Holdings{Pending: len(l.entries), Dead: len(l.dead)}
			if h != (store.Holdings{}) {
				holdings[l.name] = h
			}
		}
		return nil
	})
	return holdings, err
}

// History implements [store.Store].
func (s *Store) History(
	ctx context.Context, lane, problem string,
) (found []store.Settlement, err error) {
	err = s.do(ctx, Call{Method: "History", Lane: lane, Problems: []string{problem}}, func() error {
		l := s.lane(lane)
		for _, st := range l.settled {
			if st.Problem == problem {
				found = append(found, l.named(st))
			}
		}
		slices.SortStableFunc(found, func(a, b store.Settlement) int {
			return cmp.Compare(a.Seq, b.Seq)
		})
		return nil
	})
	return found, err
}

// DeadLetters implements [store.Store].
func (s *Store) DeadLetters(
	ctx context.Context, lane string, after uint64, limit int,
) (found []store.Settlement, err error) {
	err = s.do(ctx, Call{Method: "DeadLetters", Lane: lane, Seq: after}, func() error {
		l := s.lane(lane)
		dead := l.dead
		for _, seq := range slices.Sorted(maps.Keys(dead)) {
			if seq > after && len(found) < limit {
				st := l.named(dead[seq])
				st.Body = slices.Clone(st.Body)
				found = append(found, st)
			}
		}
		return nil
	})
	return found, err
}

// Settled returns how the entries of a lane ended, in the order in which they did.
func (s *Store) Settled(lane string) (settled []store.Settlement) {
	s.mu.Lock()
	defer s.mu.Unlock()
	l := s.lane(lane)
	for _, st := range l.settled {
		settled = append(settled, l.named(st))
	}
	return settled
}
