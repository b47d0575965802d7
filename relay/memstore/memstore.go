// Package memstore is a store in memory, for tests.
//
//	db := memstore.New()
//	r, err := relay.New(db, nil)
//
// It is NOT durable: everything is gone when the process ends, and so is promise 1. Nothing bounds
// it but [Store.Limit] and [Store.LimitLane], and it remembers all event IDs, nonces, outcomes and
// records. Package boltstore is the store for everything else.
//
// Its faults show what a program does with a disk that is slow, refuses, is damaged or fails: see
// [Store.Intercept], [Store.Fail] and [Store.Restart].
//
// A [Cluster] is a store for several nodes. Each node opens a [Handle]:
//
//	c := memstore.NewCluster()
//	a, b := c.Open("a"), c.Open("b")
//
// Its faults show what the nodes do when one of them is killed, is stopped or cannot reach the
// engine, and when the engine loses what it had not replicated.
package memstore

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"sync/atomic"
	"time"

	"github.com/guance-relay/guance-relay/relay/store"
)

// A Store keeps entries in memory. It is safe for concurrent use.
type Store struct {
	*place    // which other stores may use too
	intercept atomic.Pointer[func(Call, func() error) error]

	// Guarded by mu:
	leases map[*lease]bool // that have not ended
	closed bool
	end    time.Duration // the store's time when it was closed
	next   *failure
	failed error
	paused chan struct{} // closed when the store runs again; nil: it runs
	cut    Cut
}

var _ store.Store = (*Store)(nil)

// New returns an empty store.
func New() *Store { return newPlace().open() }

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

// Close releases what the store owns, and has every call return [store.ErrClosed] from now on. To
// close twice is no error.
func (s *Store) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.close(s.reaches())
	return nil
}

// close ends all ownerships. Without released, the engine is not told. mu is held.
func (s *Store) close(released bool) {
	s.end, s.closed = s.clock(), true
	for l := range s.leases {
		l.freed = l.freed || released
	}
	s.endLeases()
	s.run()
}

// Restart returns the store as it would be after a restart of the process, if it were durable: a
// new one with all that was kept. The old one is closed.
func (s *Store) Restart() *Store {
	_ = s.Close() // never fails
	s.mu.Lock()
	defer s.mu.Unlock()
	s.before, s.opened = s.end, time.Now()
	return s.open()
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
	return s.now()
}

// usable returns why the store cannot be used. mu is held.
func (s *Store) usable(ctx context.Context) error {
	switch {
	case s.closed:
		return fmt.Errorf("memstore: %w", store.ErrClosed)
	case s.failed != nil:
		return fmt.Errorf("memstore: %w: %w", store.ErrFailed, s.failed)
	case ctx.Err() != nil:
		return ctx.Err()
	case !s.reaches():
		return errUnreached
	}
	return nil
}

// do makes a call with mu held, if the store is usable.
func (s *Store) do(ctx context.Context, c Call, fn func() error) error {
	return s.await(ctx, c, s.usable, func() (*wait, error) { return nil, fn() })
}

// A wait is what an attempt waits for before the next one, besides the end of its context and what
// [place.wake] tells all.
type wait struct {
	grown   <-chan struct{}
	expired <-chan time.Time
}

// await makes a call in attempts, each with mu held and if usable returns nil. It ends with an
// attempt that returns no wait.
func (s *Store) await(
	ctx context.Context, c Call, usable func(context.Context) error, attempt func() (*wait, error),
) error {
	c.Context = ctx
	return s.call(c, func() error {
		for {
			s.enter()
			w, err := &wait{}, usable(ctx)
			if err == nil {
				w, err = attempt()
				if s.cut == AnswersLost || s.unconfirmed && w == nil && c.writes() {
					err = errNoAnswer
				}
			}
			changed := s.changes()
			s.mu.Unlock()
			if err != nil || w == nil {
				return err
			}
			select {
			case <-ctx.Done():
			case <-changed:
			case <-w.grown:
			case <-w.expired:
			}
		}
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

// endLeases ends all ownerships of the store, and so wakes its readers. mu is held.
func (s *Store) endLeases() {
	for l := range s.leases {
		l.end()
	}
}

// Acquire implements [store.Store]. It takes the lanes from an earlier owner at once.
func (s *Store) Acquire(ctx context.Context, g store.Group) (store.Lease, error) {
	l, err := s.acquire(ctx, g)
	if err != nil {
		return nil, err
	}
	return l, nil
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

// OpenProblems implements [store.Store], by problem key.
func (s *Store) OpenProblems(
	ctx context.Context, lane, from string, limit int,
) (open []store.OpenProblem, next string, err error) {
	err = s.do(ctx, Call{Method: "OpenProblems", Lane: lane}, func() error {
		records := s.lane(lane).records
		for _, problem := range slices.Sorted(maps.Keys(records)) {
			if problem < from || !records[problem].Open {
				continue
			}
			if len(open) == limit {
				next = problem
				break
			}
			open = append(open, store.OpenProblem{Problem: problem, Record: records[problem]})
		}
		return nil
	})
	return open, next, err
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
