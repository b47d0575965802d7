package boltstore

import (
	"context"
	"fmt"
	"slices"
	"time"

	bolt "go.etcd.io/bbolt"

	"github.com/guance-relay/guance-relay/relay/store"
)

// A lease is the ownership of a group of lanes. The file's lock keeps other processes out, so that
// none of it need be on disk.
type lease struct {
	store *Store
	lanes []string
	lost  chan struct{} // closed when the ownership has ended
	ended bool          // guarded by store.mu
}

// Acquire implements [store.Store]. The committer hands the lanes over: what the earlier owner marked
// is committed before, or refused.
func (s *Store) Acquire(ctx context.Context, g store.Group) (store.Lease, error) {
	l := &lease{store: s, lanes: slices.Clone(g.Lanes), lost: make(chan struct{})}
	err := s.submit(ctx, &job{check: func(*commit) error {
		s.mu.Lock()
		defer s.mu.Unlock()
		for _, name := range l.lanes {
			o := s.owner(name)
			o.lease.end()
			o.lease = l
		}
		return nil
	}})
	if err != nil {
		return nil, err
	}
	return l, nil
}

// end ends the ownership. The store's mu is held.
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
	*lease
	lane string
}

// owned returns the channel that tells of changes, if the store and the lease are usable.
func (l *ownedLane) owned(ctx context.Context) (<-chan struct{}, error) {
	if err := l.store.usable(ctx); err != nil {
		return nil, err
	}
	l.store.mu.Lock()
	defer l.store.mu.Unlock()
	if l.ended {
		return nil, fmt.Errorf("boltstore: lane %q: %w", l.lane, store.ErrFenced)
	}
	return l.store.owner(l.lane).grown, nil
}

// fenced is the check of each write.
func (l *ownedLane) fenced(*commit) error {
	_, err := l.owned(context.Background())
	return err
}

// view runs fn on the lane's bucket, if there is one.
func (s *Store) viewLane(lane string, fn func(*bolt.Bucket) error) error {
	return s.view(func(tx *bolt.Tx) error {
		if b := laneBucket(tx, lane); b != nil {
			return fn(b)
		}
		return nil
	})
}

// Read implements [store.Lane].
func (l *ownedLane) Read(ctx context.Context, after uint64, limit int) ([]*store.Entry, error) {
	for {
		grown, err := l.owned(ctx)
		if err != nil {
			return nil, err
		}
		var found []*store.Entry
		err = l.store.viewLane(l.lane, func(b *bolt.Bucket) (err error) {
			found, err = l.read(b, after, limit)
			return err
		})
		if err != nil || len(found) > 0 {
			l.store.mapped.trim(l.store.db)
			return found, err
		}
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-grown:
		}
	}
}

func (l *ownedLane) read(b *bolt.Bucket, after uint64, limit int) (found []*store.Entry, err error) {
	segments, c := b.Bucket(segmentsPart), b.Bucket(progressPart).Cursor()
	var slots []slot
	for k, v := seekSegment(c, after+1); k != nil && len(found) < limit; k, v = c.Next() {
		if slots, err = decodeSlots(slots[:0], k, v); err != nil {
			return nil, err
		}
		last := slots[len(slots)-1].seq
		if last <= after {
			continue
		}
		before := len(found)
		if found, err = l.readSegment(found, segments, k, slots, after, limit); err == nil {
			continue
		}
		if before > 0 {
			return found[:before], nil // the damage is what comes next
		}
		return nil, &store.DamagedError{First: max(keySeq(k), after+1), Last: last, Err: err}
	}
	return found, nil
}

// readSegment appends the pending entries of a segment above after, until there are as many as the limit.
func (l *ownedLane) readSegment(found []*store.Entry, segments *bolt.Bucket, k []byte, slots []slot, after uint64, limit int) ([]*store.Entry, error) {
	value, err := segmentOf(segments, k)
	if err != nil {
		return found, err
	}
	l.store.mapped.touched(1)
	whole := true
	err = each(k, value, slots, func(it item) bool {
		if it.seq > after && it.state != settled {
			var h header
			if h, whole = decodeHeader(it.header); whole {
				found = append(found, it.entry(l.lane, &h))
			}
		}
		return whole && len(found) < limit
	})
	if err == nil && !whole {
		err = damaged("segment", k)
	}
	return found, err
}

// Load implements [store.Lane].
func (l *ownedLane) Load(ctx context.Context, seq uint64) (e *store.Entry, err error) {
	if _, err := l.owned(ctx); err != nil {
		return nil, err
	}
	err = l.store.viewLane(l.lane, func(b *bolt.Bucket) (err error) {
		e, err = load(b, l.lane, seq)
		return err
	})
	if err == nil && e == nil {
		err = fmt.Errorf("boltstore: lane %q: entry %d: %w", l.lane, seq, store.ErrNotFound)
	}
	l.store.mapped.touched(1)
	l.store.mapped.trim(l.store.db)
	return e, err
}

// load returns a pending entry with its body, nil if there is none.
func load(b *bolt.Bucket, lane string, seq uint64) (e *store.Entry, err error) {
	k, v := seekSegment(b.Bucket(progressPart).Cursor(), seq)
	if k == nil || keySeq(k) > seq {
		return nil, nil
	}
	slots, err := decodeSlots(nil, k, v)
	if err != nil {
		return nil, err
	}
	s := &segment{first: keySeq(k), slots: slots}
	if s.slot(seq) == nil {
		return nil, nil
	}
	value, err := segmentOf(b.Bucket(segmentsPart), k)
	if err != nil {
		return nil, err
	}
	err = each(k, value, slots, func(it item) bool {
		if it.seq != seq {
			return true
		}
		if h, ok := decodeHeader(it.header); ok && h.holds(it.body) {
			e = it.entry(lane, &h)
			e.Body = slices.Clone(it.body)
		}
		return false
	})
	if err == nil && e == nil {
		err = damaged("event", seqKey(seq))
	}
	return e, err
}

// Records implements [store.Lane].
func (l *ownedLane) Records(ctx context.Context, problems []string) ([]store.Record, error) {
	if _, err := l.owned(ctx); err != nil {
		return nil, err
	}
	records := make([]store.Record, len(problems))
	err := l.store.viewLane(l.lane, func(b *bolt.Bucket) error {
		b = b.Bucket(recordsPart)
		for i, problem := range problems {
			r, err := readRecord(b, recordKey(problem))
			if err != nil {
				return err
			}
			records[i] = r.Record
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return records, nil
}

// Mark implements [store.Lane].
func (l *ownedLane) Mark(ctx context.Context, marks []store.Mark) error {
	for i := range marks {
		if n := len(marks[i].Problem); n > maxProblem {
			return fmt.Errorf("boltstore: a problem key has %d bytes, and %d are allowed; nothing was marked", n, maxProblem)
		}
	}
	return l.store.submit(ctx, &job{check: l.fenced, write: func(c *commit) error {
		lane, err := c.lane(l.lane, false)
		if err != nil || lane == nil {
			return err
		}
		for i := range marks {
			if err := lane.mark(&marks[i]); err != nil {
				return err
			}
		}
		return nil
	}})
}

// Revive implements [store.Lane].
func (l *ownedLane) Revive(ctx context.Context, seq uint64) (revived *store.Entry, err error) {
	err = l.withDead(ctx, seq, func(lane *lane, st settlement, h *header, body []byte) error {
		again := slot{seq: seq, problem: hashProblem(h.problem), size: uint32(len(st.header) + len(body)), state: begun(0)}
		it := item{again, lane.commit.now, st.header, body}
		revived = it.entry(l.lane, h)
		lane.counts(&it.slot, 1)
		lane.arrived = true
		return lane.revive(it)
	})
	if err != nil {
		return nil, err
	}
	return revived, nil
}

// Drop implements [store.Lane].
func (l *ownedLane) Drop(ctx context.Context, seq uint64) error {
	return l.withDead(ctx, seq, func(*lane, settlement, *header, []byte) error { return nil })
}

// withDead takes a dead letter out of the store, with whatever fn makes of it in the same commit.
func (l *ownedLane) withDead(ctx context.Context, seq uint64, fn func(*lane, settlement, *header, []byte) error) error {
	key := seqKey(seq)
	var st settlement
	var h header
	var body []byte
	check := func(c *commit) error {
		if err := l.fenced(c); err != nil {
			return err
		}
		lane, err := c.lane(l.lane, false)
		if err != nil {
			return err
		}
		if lane == nil || lane.deadOnes.Get(key) == nil {
			return fmt.Errorf("boltstore: lane %q: dead letter %d: %w", l.lane, seq, store.ErrNotFound)
		}
		if st, h, err = decodeSettlement(key, lane.deadOnes.Get(key)); err != nil {
			return err
		}
		st.header, body = slices.Clone(st.header), slices.Clone(lane.bodies.Get(key))
		return nil
	}
	return l.store.submit(ctx, &job{check: check, write: func(c *commit) error {
		lane, err := c.lane(l.lane, false)
		if err != nil {
			return err
		}
		if err := lane.exhume(key, &h); err != nil {
			return err
		}
		return fn(lane, st, &h, body)
	}})
}
