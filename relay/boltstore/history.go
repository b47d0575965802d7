package boltstore

import (
	"cmp"
	"context"
	"slices"

	bolt "go.etcd.io/bbolt"

	"github.com/guance-relay/guance-relay/relay/store"
)

// History implements [store.Store]. It reads all that is kept of the lane: a question that a person asks, not a program. An entry that was
// revived stands there once for each time it ended.
func (s *Store) History(ctx context.Context, lane, problem string) (found []store.Settlement, err error) {
	if err := s.usable(ctx); err != nil {
		return nil, err
	}
	err = s.viewLane(lane, func(b *bolt.Bucket) error {
		return b.Bucket(historyPart).ForEach(func(k, v []byte) error {
			st, h, err := decodeSettlement(k, v)
			if err == nil && h.problem == problem {
				found = append(found, st.settlement(lane, &h, nil))
			}
			return err
		})
	})
	if err != nil {
		return nil, err
	}
	slices.SortStableFunc(found, func(a, b store.Settlement) int { return cmp.Compare(a.Seq, b.Seq) })
	return found, nil
}

// DeadLetters implements [store.Store].
func (s *Store) DeadLetters(ctx context.Context, lane string, after uint64, limit int) (found []store.Settlement, err error) {
	if err := s.usable(ctx); err != nil {
		return nil, err
	}
	err = s.viewLane(lane, func(b *bolt.Bucket) error {
		c, bodies := b.Bucket(deadPart).Cursor(), b.Bucket(bodiesPart)
		for k, v := c.Seek(seqKey(after + 1)); k != nil && len(found) < limit; k, v = c.Next() {
			st, h, err := decodeSettlement(k, v)
			if err != nil {
				return err
			}
			body := bodies.Get(k)
			if !h.holds(body) {
				return damaged("body of the dead letter", k)
			}
			found = append(found, st.settlement(lane, &h, slices.Clone(body)))
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return found, nil
}
