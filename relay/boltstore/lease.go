package boltstore

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/guance-relay/guance-relay/relay/store"
)

// A lease is the ownership of a group of lanes. It is not on disk, because the lock of the file
// keeps other processes out.
type lease struct {
	store *Store
	lanes []string
	lost  chan struct{} // closed when the lease has ended
	ended bool          // guarded by store.mu
}

// Acquire implements [store.Store].
func (s *Store) Acquire(ctx context.Context, g store.Group) (store.Lease, error) {
	l := &lease{store: s, lanes: slices.Clone(g.Lanes), lost: make(chan struct{})}
	if err := s.submit(ctx, acquireOp{lease: l}); err != nil {
		return nil, err
	}
	return l, nil
}

// An acquireOp gives the lanes of a lease to it. The committer does so, because a mark of the
// earlier owner is then either committed before or refused.
type acquireOp struct {
	noOperation
	lease *lease
}

func (op acquireOp) check(*commit) error {
	s := op.lease.store
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, name := range op.lease.lanes {
		o := s.owner(name)
		if o.lease != op.lease { // the group may have two names of one lane
			o.lease.end()
		}
		o.lease = op.lease
	}
	return nil
}

// end ends the lease. The store's mu is held.
func (l *lease) end() {
	if l == nil || l.ended {
		return
	}
	l.ended = true
	close(l.lost)
	for _, name := range l.lanes {
		l.store.owner(name).wake()
	}
}

// Lane implements [store.Lease].
func (l *lease) Lane(name string) store.Lane {
	if !slices.Contains(l.lanes, name) {
		panic(fmt.Sprintf("boltstore: the group of the lease does not name lane %q", name))
	}
	return &ownedLane{l, name}
}

// Lost implements [store.Lease].
func (l *lease) Lost() <-chan struct{} { return l.lost }

// Until implements [store.Lease]. The lease has no end.
func (*lease) Until() time.Time { return time.Time{} }

// Release implements [store.Lease].
func (l *lease) Release() error {
	l.store.mu.Lock()
	defer l.store.mu.Unlock()
	l.end()
	return nil
}

// An owner is the newest lease of a lane.
type owner struct {
	lease   *lease        // nil: there was none yet
	changed chan struct{} // closed and replaced when an entry arrives or the lease ends
}

// owner returns the owner of a lane, made on first use. The store's mu is held.
func (s *Store) owner(lane string) *owner {
	lane = s.present(lane)
	o := s.owners[lane]
	if o == nil {
		o = &owner{changed: make(chan struct{})}
		s.owners[lane] = o
	}
	return o
}

// wake has the readers of a lane look again. The store's mu is held.
func (o *owner) wake() {
	close(o.changed)
	o.changed = make(chan struct{})
}

// endLeases ends all leases, which wakes all readers. The store's mu is held.
func (s *Store) endLeases() {
	for _, o := range s.owners {
		o.lease.end()
	}
}

// An ownedLane is a lane of a lease. It implements [store.Lane].
type ownedLane struct {
	*lease
	name string
}

// owned returns an error if the store or the lease is not usable, and otherwise the channel that is
// closed when the lane changes.
func (l *ownedLane) owned(ctx context.Context) (changed <-chan struct{}, err error) {
	if err := l.store.usable(ctx); err != nil {
		return nil, err
	}
	l.store.mu.Lock()
	defer l.store.mu.Unlock()
	if l.ended {
		return nil, fmt.Errorf("boltstore: lane %q: %w", l.name, store.ErrFenced)
	}
	return l.store.owner(l.name).changed, nil
}

// An ownerOp is embedded in operations of a lane's owner. It is refused once the lease has ended.
type ownerOp struct {
	noOperation
	lane *ownedLane
}

func (op ownerOp) check(*commit) error {
	_, err := op.lane.owned(context.Background())
	return err
}
