package memstore

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/guance-relay/guance-relay/relay/store"
)

// A lease is the ownership of a group of lanes.
type lease struct {
	store *Store
	lanes map[string]*lane
	lost  chan struct{} // closed when the ownership has ended
	ended bool          // guarded by store.mu
}

// end ends the ownership. The store's mu is held.
func (l *lease) end() {
	if l == nil || l.ended {
		return
	}
	l.ended = true
	close(l.lost)
	for _, lane := range l.lanes {
		lane.wake()
	}
}

// Lane implements [store.Lease].
func (l *lease) Lane(name string) store.Lane {
	if l.lanes[name] == nil {
		panic(fmt.Sprintf("memstore: the group of the lease does not name lane %q", name))
	}
	return &ownedLane{l, l.lanes[name], name}
}

// Lost implements [store.Lease].
func (l *lease) Lost() <-chan struct{} { return l.lost }

// Until implements [store.Lease]. The ownership has no end.
func (*lease) Until() time.Time { return time.Time{} }

// Release implements [store.Lease].
func (l *lease) Release() error {
	l.store.mu.Lock()
	defer l.store.mu.Unlock()
	l.end()
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
	c.Context, c.Lane = ctx, o.name
	s := o.lease.store
	return s.call(c, func() error {
		s.mu.Lock()
		defer s.mu.Unlock()
		if err := o.usable(ctx); err != nil {
			return err
		}
		return fn()
	})
}

// usable returns why the lane cannot be used. The store's mu is held.
func (o *ownedLane) usable(ctx context.Context) error {
	err := o.lease.store.usable(ctx)
	if err == nil && o.lease.ended {
		err = fmt.Errorf("memstore: lane %q: %w", o.name, store.ErrFenced)
	}
	return err
}

func (o *ownedLane) Read(
	ctx context.Context, after uint64, limit int,
) (found []*store.Entry, err error) {
	s := o.lease.store
	err = s.call(Call{Context: ctx, Method: "Read", Lane: o.name, Seq: after}, func() error {
		for {
			s.mu.Lock()
			err := o.usable(ctx)
			found = o.headers(after, limit)
			grown := o.grown
			s.mu.Unlock()
			if err != nil {
				return err
			}
			if len(found) > 0 {
				return nil
			}
			select {
			case <-ctx.Done():
				return ctx.Err()
			case <-grown:
			}
		}
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
	return o.do(ctx, Call{Method: "Mark", Marks: marks}, func() error {
		return o.lease.store.write(func() {
			for _, m := range marks {
				o.mark(m)
			}
		})
	})
}

func (o *ownedLane) Revive(ctx context.Context, seq uint64) (revived *store.Entry, err error) {
	err = o.do(ctx, Call{Method: "Revive", Seq: seq}, func() error {
		return o.takeDead(seq, func(st store.Settlement) {
			e := st.Entry
			e.Lane = o.lane.name
			e.Begun, e.Failed, e.Kept = true, 0, o.lease.store.clock()
			kept := e
			o.insert(&kept)
			o.wake()
			e.Body = nil
			revived = &e
		})
	})
	if err != nil {
		return nil, err
	}
	return revived, nil
}

func (o *ownedLane) Drop(ctx context.Context, seq uint64) error {
	return o.do(ctx, Call{Method: "Drop", Seq: seq}, func() error {
		return o.takeDead(seq, func(store.Settlement) {})
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
