package boltstore

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"slices"

	bolt "go.etcd.io/bbolt"
	berrors "go.etcd.io/bbolt/errors"

	"github.com/guance-relay/guance-relay/relay/store"
)

// view runs fn in a read transaction. A panic or a fault in it is damage of the file.
func (s *Store) view(fn func(*bolt.Tx) error) (err error) {
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		if p := recover(); p != nil {
			err = s.damage(fmt.Errorf("%v", p))
		}
	}()
	err = s.db.View(fn)
	if errors.Is(err, berrors.ErrDatabaseNotOpen) {
		return fmt.Errorf("boltstore: %w", store.ErrClosed)
	}
	return err
}

// damage is the error for something that bbolt cannot make sense of.
func (s *Store) damage(err error) error {
	return fmt.Errorf("boltstore: %s: %w: %w; see docs/operations.md",
		s.path, store.ErrDamaged, err)
}

// viewLane runs fn on the bucket of a lane, if there is one, with the lane's present name.
func (s *Store) viewLane(lane string, fn func(b *bolt.Bucket, lane string) error) error {
	return s.view(func(tx *bolt.Tx) error {
		b, present, err := findLane(tx, lane)
		if b == nil || err != nil {
			return err
		}
		return fn(b, present)
	})
}

// Read implements [store.Lane].
func (l *ownedLane) Read(ctx context.Context, after uint64, limit int) ([]*store.Entry, error) {
	for {
		changed, err := l.owned(ctx)
		if err != nil {
			return nil, err
		}
		var found []*store.Entry
		err = l.store.viewLane(l.name, func(b *bolt.Bucket, lane string) (err error) {
			found, err = l.read(b, lane, after, limit)
			return err
		})
		if err != nil || len(found) > 0 {
			l.store.mapped.trim(l.store.db)
			return found, err
		}
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-changed:
		}
	}
}

func (l *ownedLane) read(b *bolt.Bucket, lane string, after uint64, limit int) (
	found []*store.Entry, err error,
) {
	segments, c := b.Bucket(segmentsPart), b.Bucket(progressPart).Cursor()
	var list []progress
	for k, v := seekSegment(c, after+1); k != nil && len(found) < limit; k, v = c.Next() {
		if list, err = decodeProgress(list[:0], k, v); err != nil {
			return nil, err
		}
		last := list[len(list)-1].seq
		if last <= after {
			continue
		}
		before := len(found)
		if found, err = l.readSegment(found, segments, k, list, after, limit); err == nil {
			for _, e := range found[before:] {
				e.Lane = lane
			}
			continue
		}
		if before > 0 {
			return found[:before], nil // the next Read returns the error
		}
		return nil, &store.DamagedError{First: max(keySeq(k), after+1), Last: last, Err: err}
	}
	return found, nil
}

// readSegment appends the pending entries of a segment above after, up to limit. It does not set
// the lane.
func (l *ownedLane) readSegment(
	found []*store.Entry, segments *bolt.Bucket, k []byte, list []progress, after uint64, limit int,
) ([]*store.Entry, error) {
	l.store.mapped.touched(1)
	whole := true
	err := eachEntry(segments, k, list, func(e segmentEntry) bool {
		if e.seq > after && e.state != settled {
			var h header
			if h, whole = decodeHeader(e.header); whole {
				found = append(found, e.entry("", &h))
			}
		}
		return whole && len(found) < limit
	})
	if !whole { // and err is nil
		err = damaged("segment", k)
	}
	return found, err
}

// Load implements [store.Lane].
func (l *ownedLane) Load(ctx context.Context, seq uint64) (e *store.Entry, err error) {
	if _, err := l.owned(ctx); err != nil {
		return nil, err
	}
	err = l.store.viewLane(l.name, func(b *bolt.Bucket, lane string) (err error) {
		e, err = load(b, lane, seq)
		return err
	})
	if err == nil && e == nil {
		err = fmt.Errorf("boltstore: lane %q: entry %d: %w", l.name, seq, store.ErrNotFound)
	}
	l.store.mapped.touched(1)
	l.store.mapped.trim(l.store.db)
	return e, err
}

// load returns a pending entry with its body; nil if there is none.
func load(b *bolt.Bucket, lane string, seq uint64) (found *store.Entry, err error) {
	k, v := seekSegment(b.Bucket(progressPart).Cursor(), seq)
	if k == nil || keySeq(k) > seq {
		return nil, nil
	}
	list, err := decodeProgress(nil, k, v)
	if err != nil {
		return nil, err
	}
	if (&segment{list: list}).pending(seq) == nil {
		return nil, nil
	}
	err = eachEntry(b.Bucket(segmentsPart), k, list, func(e segmentEntry) bool {
		if e.seq != seq {
			return true
		}
		if h, ok := decodeHeader(e.header); ok && h.matches(e.body) {
			found = e.entry(lane, &h)
			found.Body = slices.Clone(e.body)
		}
		return false
	})
	if err == nil && found == nil {
		err = damaged("event", seqKey(seq))
	}
	return found, err
}
