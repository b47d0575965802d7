package boltstore

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"slices"

	bolt "go.etcd.io/bbolt"

	"github.com/guance-relay/guance-relay/relay"
)

// lease is the ownership of a lane. The file's lock keeps other processes out, so the epoch need not be on disk.
type lease struct {
	store *Store
	lane  *lane
	name  string
	epoch uint64
}

// Acquire implements [relay.Store].
func (s *Store) Acquire(ctx context.Context, name string) (relay.Lease, error) {
	if err := s.usable(); err != nil {
		return nil, err
	}
	err := s.submit(ctx, nil, func(tx *bolt.Tx) error {
		_, err := buckets(tx, name)
		return err
	})
	if err != nil {
		return nil, err
	}
	l := s.lane(name)
	s.mu.Lock()
	defer s.mu.Unlock()
	l.epoch++
	l.wake()
	return &lease{s, l, name, l.epoch}, nil
}

// owned returns the channel that tells of changes, if the lease is still good.
func (l *lease) owned() (<-chan struct{}, error) {
	if err := l.store.usable(); err != nil {
		return nil, err
	}
	l.store.mu.Lock()
	defer l.store.mu.Unlock()
	if l.lane.epoch != l.epoch {
		return nil, fmt.Errorf("boltstore: lane %q: %w", l.name, relay.ErrFenced)
	}
	return l.lane.grown, nil
}

// view runs fn on the lane's bucket.
func (l *lease) view(fn func(b *bolt.Bucket) error) error {
	return l.store.db.View(func(tx *bolt.Tx) error { return fn(tx.Bucket([]byte("lanes")).Bucket([]byte(l.name))) })
}

// Read implements [relay.Lease].
func (l *lease) Read(ctx context.Context, after uint64, limit int) ([]*relay.Entry, error) {
	for {
		grown, err := l.owned()
		if err != nil {
			return nil, err
		}
		var found []*relay.Entry
		err = l.view(func(b *bolt.Bucket) error {
			c := b.Bucket([]byte("entries")).Cursor()
			for k, v := c.Seek(key(after + 1)); k != nil && len(found) < limit; k, v = c.Next() {
				var h header
				if err := json.Unmarshal(v, &h); err != nil {
					return fmt.Errorf("boltstore: lane %q: a damaged entry: %w; keep the file for repair", l.name, err)
				}
				found = append(found, new(h.entry(l.name, binary.BigEndian.Uint64(k))))
			}
			return nil
		})
		if err != nil || len(found) > 0 {
			return found, err
		}
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-grown:
		}
	}
}

// Load implements [relay.Lease].
func (l *lease) Load(_ context.Context, seq uint64) (e *relay.Entry, err error) {
	if _, err := l.owned(); err != nil {
		return nil, err
	}
	err = l.view(func(b *bolt.Bucket) error {
		v := b.Bucket([]byte("entries")).Get(key(seq))
		if v == nil {
			return fmt.Errorf("boltstore: lane %q: entry %d: %w", l.name, seq, relay.ErrNotFound)
		}
		var h header
		if err := json.Unmarshal(v, &h); err != nil {
			return fmt.Errorf("boltstore: lane %q: a damaged entry: %w; keep the file for repair", l.name, err)
		}
		e = new(h.entry(l.name, seq))
		e.Body = slices.Clone(b.Bucket([]byte("bodies")).Get(key(seq)))
		return nil
	})
	return e, err
}

// Records implements [relay.Lease].
func (l *lease) Records(_ context.Context, problems []string) ([]relay.Record, error) {
	if _, err := l.owned(); err != nil {
		return nil, err
	}
	records := make([]relay.Record, len(problems))
	err := l.view(func(b *bolt.Bucket) (err error) {
		for i, problem := range problems {
			if records[i], err = getRecord(b, problem); err != nil {
				return err
			}
		}
		return nil
	})
	return records, err
}

func getRecord(b *bolt.Bucket, problem string) (relay.Record, error) {
	v := b.Bucket([]byte("records")).Get([]byte(problem))
	if v == nil {
		return relay.Record{}, nil
	}
	var r record
	if err := json.Unmarshal(v, &r); err != nil {
		return relay.Record{}, fmt.Errorf("boltstore: a damaged record: %w; keep the file for repair", err)
	}
	return relay.Record(r), nil
}

// Mark implements [relay.Lease].
func (l *lease) Mark(ctx context.Context, marks []relay.Mark) error {
	check := func(*bolt.Tx) error {
		_, err := l.owned()
		return err
	}
	return l.store.submit(ctx, check, func(tx *bolt.Tx) error {
		b, err := buckets(tx, l.name)
		if err != nil {
			return err
		}
		for _, m := range marks {
			if err := l.mark(b, m); err != nil {
				return err
			}
		}
		return nil
	})
}

func (l *lease) mark(b *bolt.Bucket, m relay.Mark) error {
	entries, bodies := b.Bucket([]byte("entries")), b.Bucket([]byte("bodies"))
	v := entries.Get(key(m.Seq))
	if v == nil {
		return nil // settled before: a mark that was repeated changes nothing
	}
	var h header
	if err := json.Unmarshal(v, &h); err != nil {
		return err
	}
	r, err := getRecord(b, m.Problem)
	if err != nil {
		return err
	}
	if err := put(b, "records", []byte(m.Problem), record(r.Apply(m))); err != nil {
		return err
	}
	if m.Outcome == 0 {
		h.Begun, h.Failed = true, m.Failed
		return put(b, "entries", key(m.Seq), h)
	}
	st := settlement{Header: h, Outcome: m.Outcome, Reason: m.Reason, At: m.At}
	if err := settle(b, m.Seq, st); err != nil {
		return err
	}
	if m.Outcome == relay.Dead {
		st.Body = slices.Clone(bodies.Get(key(m.Seq)))
		if err := put(b, "dead", key(m.Seq), st); err != nil {
			return err
		}
	}
	if err := entries.Delete(key(m.Seq)); err != nil {
		return err
	}
	l.count(-1)
	return bodies.Delete(key(m.Seq))
}

// count keeps the number of unsettled entries.
func (l *lease) count(n int) {
	l.store.mu.Lock()
	defer l.store.mu.Unlock()
	l.lane.pending += n
}

// Release implements [relay.Lease].
func (l *lease) Release() error {
	l.store.mu.Lock()
	defer l.store.mu.Unlock()
	if l.lane.epoch == l.epoch {
		l.lane.epoch++
		l.lane.wake()
	}
	return nil
}
