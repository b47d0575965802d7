package memstore

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/guance-relay/guance-relay/relay/store"
)

// A lease is the ownership of a group of lanes. The store's mu guards what changes.
type lease struct {
	store *Store
	node  string
	lanes map[string]*lane

	// What the process of the owner believes:
	lost  chan struct{} // closed when the ownership has ended
	ended bool
	until time.Time // zero: it has no end
	// published are the figures to write with the next renewal, by the present name of the lane.
	published map[string][]byte

	// What the engine has:
	expires time.Time // until then no other process acquires the lanes; zero: it has no end
	fenced  bool      // calls of the owner are refused
	freed   bool      // others may acquire the lanes
	figures map[string]store.Owner
}

// newLease returns the ownership of lanes from now on. mu is held.
func (s *Store) newLease(g store.Group) *lease {
	l := &lease{
		store: s, node: g.Node, lanes: make(map[string]*lane), lost: make(chan struct{}),
		published: make(map[string][]byte), figures: make(map[string]store.Owner),
	}
	for _, name := range g.Lanes {
		l.lanes[name] = s.lane(name)
	}
	if s.term > 0 {
		l.until = time.Now().Add(s.term)
		l.expires = l.until
	}
	s.leases[l] = true
	return l
}

// acquire waits until no lane of the group has an owner in another process that may be alive.
func (s *Store) acquire(ctx context.Context, g store.Group) (acquired *lease, err error) {
	err = s.await(ctx, Call{Method: "Acquire"}, s.usable, func() (*wait, error) {
		for _, name := range g.Lanes {
			if o := s.lane(name).owner; o.live() && o.store != s {
				return &wait{expired: time.After(time.Until(o.expires))}, nil
			}
		}
		l := s.newLease(g)
		for _, lane := range l.lanes {
			if o := lane.owner; o != nil && o.store == s && o != l {
				o.free()
			} else if o != l {
				o.revoke()
			}
			lane.owner = l
		}
		acquired = l
		return nil, nil
	})
	if err != nil && acquired != nil { // the caller does not learn that it is the owner
		s.mu.Lock()
		defer s.mu.Unlock()
		acquired.end()
	}
	if err != nil {
		return nil, err
	}
	return acquired, nil
}

// live reports whether the owner may be alive, as far as the engine knows. mu is held.
func (l *lease) live() bool {
	if l == nil || l.freed {
		return false
	}
	return l.expires.IsZero() && !l.ended || time.Now().Before(l.expires)
}

// end ends the ownership in the process of the owner. mu is held.
func (l *lease) end() {
	if l.ended {
		return
	}
	l.ended = true
	close(l.lost)
	delete(l.store.leases, l)
	for _, lane := range l.lanes {
		lane.wake()
	}
	l.store.wake()
}

// free ends the ownership, and lets others acquire the lanes. mu is held.
func (l *lease) free() {
	l.freed = true
	l.end()
	l.store.wake()
}

// revoke ends the ownership in the engine. An owner that cannot be told may go on until the end of
// its time, so nobody acquires the lanes before. mu is held.
func (l *lease) revoke() {
	if l == nil {
		return
	}
	if l.fenced = true; l.store.hears() {
		l.free()
	}
}

// Lane implements [store.Lease].
func (l *lease) Lane(name string) store.Lane { return &ownedLane{l, l.lane(name), name} }

func (l *lease) lane(name string) *lane {
	if l.lanes[name] == nil {
		panic(fmt.Sprintf("memstore: the group of the lease does not name lane %q", name))
	}
	return l.lanes[name]
}

// Lost implements [store.Lease].
func (l *lease) Lost() <-chan struct{} { return l.lost }

// Until implements [store.Lease].
func (l *lease) Until() time.Time {
	l.store.mu.Lock()
	defer l.store.mu.Unlock()
	return l.until
}

// Release implements [store.Lease]. If the engine cannot be told, it returns
// [store.ErrUnavailable], and the lanes are free at the end of the lease's time.
func (l *lease) Release() error {
	s := l.store
	s.enter()
	defer s.mu.Unlock()
	ended := l.ended
	l.end()
	if s.reaches() {
		l.freed = true
		s.wake()
	}
	if !ended && !s.confirms() {
		return errNoAnswer
	}
	return nil
}

// An ownedLane implements [store.Lane].
type ownedLane struct {
	lease *lease
	*lane
	name string
}

// do makes a call with the store's mu held, if the store and the lease are usable.
func (o *ownedLane) do(ctx context.Context, c Call, fn func() error) error {
	return o.await(ctx, c, func() (*wait, error) { return nil, fn() })
}

func (o *ownedLane) await(ctx context.Context, c Call, attempt func() (*wait, error)) error {
	c.Lane = o.name
	return o.lease.store.await(ctx, c, o.lease.usable, attempt)
}

// write makes a call that changes something. If its outcome is not known, a lease of a [Cluster]
// ends: what the owner knows of the lane may be wrong.
func (o *ownedLane) write(ctx context.Context, c Call, fn func() error) error {
	err := o.do(ctx, c, fn)
	if errors.Is(err, store.ErrUnavailable) {
		o.lease.store.mu.Lock()
		defer o.lease.store.mu.Unlock()
		if o.lease.store.term > 0 {
			o.lease.end()
		}
	}
	return err
}

// usable returns why the lanes cannot be used. The store's mu is held.
func (l *lease) usable(ctx context.Context) error {
	s := l.store
	if l.ended && !s.closed && s.failed == nil && ctx.Err() == nil {
		return errFenced
	}
	if err := s.usable(ctx); err != nil {
		return err
	}
	if l.fenced || !l.live() {
		if !s.hears() {
			return errNoAnswer
		}
		l.free()
		return errFenced
	}
	return nil
}

func (o *ownedLane) Read(
	ctx context.Context, after uint64, limit int,
) (found []*store.Entry, err error) {
	err = o.await(ctx, Call{Method: "Read", Seq: after}, func() (*wait, error) {
		if found = o.headers(after, limit); len(found) > 0 {
			return nil, nil
		}
		return &wait{grown: o.grown}, nil
	})
	if err != nil {
		return nil, err
	}
	return found, nil
}

func (o *ownedLane) Load(ctx context.Context, seq uint64) (loaded *store.Entry, err error) {
	err = o.do(ctx, Call{Method: "Load", Seq: seq}, func() error {
		e := o.entries[seq]
		if e == nil {
			return fmt.Errorf("memstore: entry %d: %w", seq, store.ErrNotFound)
		}
		c := *e
		c.Lane = o.lane.name
		c.Body = slices.Clone(e.Body)
		loaded = &c
		return nil
	})
	if err != nil {
		return nil, err
	}
	return loaded, nil
}

func (o *ownedLane) Records(
	ctx context.Context, problems []string,
) (records []store.Record, err error) {
	err = o.do(ctx, Call{Method: "Records", Problems: problems}, func() error {
		records = make([]store.Record, len(problems))
		for i, problem := range problems {
			records[i] = o.records[problem]
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return records, nil
}

func (o *ownedLane) Mark(ctx context.Context, marks []store.Mark) error {
	return o.write(ctx, Call{Method: "Mark", Marks: marks}, func() error {
		return o.lease.store.write(func() {
			for _, m := range marks {
				o.mark(m)
			}
			o.lease.store.took(Call{Method: "Mark", Lane: o.name, Marks: marks})
		})
	})
}

func (o *ownedLane) Revive(ctx context.Context, seq uint64) (revived *store.Entry, err error) {
	err = o.write(ctx, Call{Method: "Revive", Seq: seq}, func() error {
		return o.takeDead(seq, func(st store.Settlement) {
			e := st.Entry
			e.Lane = o.lane.name
			e.Begun, e.Failed, e.Kept = true, 0, o.lease.store.clock()
			kept := e
			o.insert(&kept)
			o.wake()
			e.Body = nil
			revived = &e
			o.lease.store.took(Call{Method: "Revive", Lane: o.name, Seq: seq})
		})
	})
	if err != nil {
		return nil, err
	}
	return revived, nil
}

func (o *ownedLane) Drop(ctx context.Context, seq uint64) error {
	return o.write(ctx, Call{Method: "Drop", Seq: seq}, func() error {
		return o.takeDead(seq, func(store.Settlement) {
			o.lease.store.took(Call{Method: "Drop", Lane: o.name, Seq: seq})
		})
	})
}

// takeDead removes a dead letter and calls fn with it, as one write.
func (o *ownedLane) takeDead(seq uint64, fn func(store.Settlement)) error {
	st, ok := o.dead[seq]
	if !ok {
		return fmt.Errorf("memstore: dead letter %d: %w", seq, store.ErrNotFound)
	}
	return o.lease.store.write(func() {
		o.unbury(st)
		fn(st)
	})
}

func (o *ownedLane) SetPause(ctx context.Context, p store.Pause) error {
	return o.do(ctx, Call{Method: "SetPause"}, func() error {
		return o.lease.store.write(func() { o.pause = p })
	})
}

func (o *ownedLane) Pause(ctx context.Context) (p store.Pause, err error) {
	err = o.do(ctx, Call{Method: "Pause"}, func() error {
		p = o.pause
		return nil
	})
	return p, err
}
