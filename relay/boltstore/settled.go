package boltstore

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"fmt"

	bolt "go.etcd.io/bbolt"

	"github.com/guance-relay/guance-relay/relay"
)

func (h header) entry(lane string, seq uint64) relay.Entry {
	return relay.Entry{
		Lane: lane, Seq: seq, ID: h.ID, Problem: h.Problem, State: h.State, Level: h.Level, Time: h.Time, Accepted: h.Accepted,
		Trace: h.Trace, Begun: h.Begun, Failed: h.Failed,
	}
}

// History implements [relay.Store]. It reads all that is kept of the lane: a question that a person asks, not a program.
func (s *Store) History(ctx context.Context, lane, problem string) ([]relay.Settlement, error) {
	return s.settlements(ctx, lane, "outcomes", 0, keptOutcomes+1, func(st *settlement) bool { return st.Header.Problem == problem })
}

// DeadLetters implements [relay.Store].
func (s *Store) DeadLetters(ctx context.Context, lane string, after uint64, limit int) ([]relay.Settlement, error) {
	return s.settlements(ctx, lane, "dead", after, limit, func(*settlement) bool { return true })
}

func (s *Store) settlements(ctx context.Context, lane, part string, after uint64, limit int, want func(*settlement) bool) ([]relay.Settlement, error) {
	if err := s.usable(); err != nil {
		return nil, err
	}
	var found []relay.Settlement
	err := s.db.View(func(tx *bolt.Tx) error {
		b := tx.Bucket([]byte("lanes")).Bucket([]byte(lane))
		if b == nil {
			return nil
		}
		for c, k := cursor(b, part, after); k != nil && len(found) < limit; k, _ = c.Next() {
			if err := ctx.Err(); err != nil {
				return err
			}
			seq := binary.BigEndian.Uint64(k)
			st, err := getSettlement(b, part, seq)
			if err != nil {
				return err
			}
			if want(st) {
				e := st.Header.entry(lane, seq)
				e.Body = st.Body
				found = append(found, relay.Settlement{Entry: e, Outcome: st.Outcome, Reason: st.Reason, At: st.At})
			}
		}
		return nil
	})
	return found, err
}

func getSettlement(b *bolt.Bucket, part string, seq uint64) (*settlement, error) {
	v := b.Bucket([]byte(part)).Get(key(seq))
	if v == nil {
		return nil, fmt.Errorf("boltstore: entry %d: %w", seq, relay.ErrNotFound)
	}
	st := new(settlement)
	if err := json.Unmarshal(v, st); err != nil {
		return nil, fmt.Errorf("boltstore: a damaged settlement %d: %w; keep the file for repair", seq, err)
	}
	return st, nil
}

// Revive implements [relay.Lease].
func (l *lease) Revive(ctx context.Context, seq uint64) (*relay.Entry, error) {
	var revived relay.Entry
	err := l.withDead(ctx, seq, func(b *bolt.Bucket, st *settlement) error {
		st.Header.Begun, st.Header.Failed = true, 0
		revived = st.Header.entry(l.name, seq)
		l.count(1)
		if err := put(b, "entries", key(seq), st.Header); err != nil {
			return err
		}
		return b.Bucket([]byte("bodies")).Put(key(seq), st.Body)
	})
	if err != nil {
		return nil, err
	}
	return &revived, nil
}

// Drop implements [relay.Lease].
func (l *lease) Drop(ctx context.Context, seq uint64) error {
	return l.withDead(ctx, seq, func(*bolt.Bucket, *settlement) error { return nil })
}

// withDead takes a dead letter out of the store, with whatever fn makes of it in the same commit.
func (l *lease) withDead(ctx context.Context, seq uint64, fn func(*bolt.Bucket, *settlement) error) error {
	var st *settlement
	check := func(tx *bolt.Tx) (err error) {
		if _, err := l.owned(); err != nil {
			return err
		}
		st, err = getSettlement(tx.Bucket([]byte("lanes")).Bucket([]byte(l.name)), "dead", seq)
		return err
	}
	return l.store.submit(ctx, check, func(tx *bolt.Tx) error {
		b, err := buckets(tx, l.name)
		if err != nil {
			return err
		}
		if err := b.Bucket([]byte("dead")).Delete(key(seq)); err != nil {
			return err
		}
		return fn(b, st)
	})
}
