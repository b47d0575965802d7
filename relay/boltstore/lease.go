package boltstore

import (
	"context"
	"fmt"
	"slices"

	bolt "go.etcd.io/bbolt"

	"github.com/guance-relay/guance-relay/relay"
)

// A lease is the ownership of a lane.
type lease struct {
	store *Store
	lane  string
	epoch uint64
}

// Acquire implements [relay.Store]. The committer hands ownership over: what the earlier owner marked is committed before, or refused.
func (s *Store) Acquire(ctx context.Context, lane string) (relay.Lease, error) {
	l := &lease{store: s, lane: lane}
	err := s.submit(ctx, &job{check: func(*commit) error {
		s.mu.Lock()
		defer s.mu.Unlock()
		o := s.owner(lane)
		o.epoch++
		o.wake()
		l.epoch = o.epoch
		return nil
	}})
	if err != nil {
		return nil, err
	}
	return l, nil
}

// owned returns the channel that tells of changes, if the store and the lease are still good.
func (l *lease) owned(ctx context.Context) (<-chan struct{}, error) {
	if err := l.store.usable(ctx); err != nil {
		return nil, err
	}
	l.store.mu.Lock()
	defer l.store.mu.Unlock()
	o := l.store.owner(l.lane)
	if o.epoch != l.epoch {
		return nil, fmt.Errorf("boltstore: lane %q: %w", l.lane, relay.ErrFenced)
	}
	return o.grown, nil
}

// fenced is the check of each write.
func (l *lease) fenced(*commit) error {
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

// Read implements [relay.Lease].
func (l *lease) Read(ctx context.Context, after uint64, limit int) ([]*relay.Entry, error) {
	for {
		grown, err := l.owned(ctx)
		if err != nil {
			return nil, err
		}
		var found []*relay.Entry
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

func (l *lease) read(b *bolt.Bucket, after uint64, limit int) (found []*relay.Entry, err error) {
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
		return nil, &relay.DamagedError{First: max(keySeq(k), after+1), Last: last, Err: err}
	}
	return found, nil
}

// readSegment appends the pending entries of a segment above after, until there are as many as the limit.
func (l *lease) readSegment(found []*relay.Entry, segments *bolt.Bucket, k []byte, slots []slot, after uint64, limit int) ([]*relay.Entry, error) {
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

// Load implements [relay.Lease].
func (l *lease) Load(ctx context.Context, seq uint64) (e *relay.Entry, err error) {
	if _, err := l.owned(ctx); err != nil {
		return nil, err
	}
	err = l.store.viewLane(l.lane, func(b *bolt.Bucket) (err error) {
		e, err = load(b, l.lane, seq)
		return err
	})
	if err == nil && e == nil {
		err = fmt.Errorf("boltstore: lane %q: entry %d: %w", l.lane, seq, relay.ErrNotFound)
	}
	l.store.mapped.touched(1)
	l.store.mapped.trim(l.store.db)
	return e, err
}

// load returns a pending entry with its body, nil if there is none.
func load(b *bolt.Bucket, lane string, seq uint64) (e *relay.Entry, err error) {
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

// Records implements [relay.Lease].
func (l *lease) Records(ctx context.Context, problems []string) ([]relay.Record, error) {
	if _, err := l.owned(ctx); err != nil {
		return nil, err
	}
	records := make([]relay.Record, len(problems))
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

// Mark implements [relay.Lease].
func (l *lease) Mark(ctx context.Context, marks []relay.Mark) error {
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

// Revive implements [relay.Lease].
func (l *lease) Revive(ctx context.Context, seq uint64) (revived *relay.Entry, err error) {
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

// Drop implements [relay.Lease].
func (l *lease) Drop(ctx context.Context, seq uint64) error {
	return l.withDead(ctx, seq, func(*lane, settlement, *header, []byte) error { return nil })
}

// withDead takes a dead letter out of the store, with whatever fn makes of it in the same commit.
func (l *lease) withDead(ctx context.Context, seq uint64, fn func(*lane, settlement, *header, []byte) error) error {
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
			return fmt.Errorf("boltstore: lane %q: dead letter %d: %w", l.lane, seq, relay.ErrNotFound)
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

// Release implements [relay.Lease].
func (l *lease) Release() error {
	l.store.mu.Lock()
	defer l.store.mu.Unlock()
	if o := l.store.owner(l.lane); o.epoch == l.epoch {
		o.epoch++
		o.wake()
	}
	return nil
}
