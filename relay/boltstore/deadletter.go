package boltstore

import (
	"context"
	"fmt"
	"slices"

	bolt "go.etcd.io/bbolt"

	"github.com/guance-relay/guance-relay/relay/store"
)

// deadShare: dead letters may take MaxBytes divided by it, in addition to pending entries.
const deadShare = 4

// DeadLetters implements [store.Store].
func (s *Store) DeadLetters(ctx context.Context, lane string, after uint64, limit int) (
	found []store.Settlement, err error,
) {
	if err := s.usable(ctx); err != nil {
		return nil, err
	}
	err = s.viewLane(lane, func(b *bolt.Bucket, lane string) error {
		c, bodies := b.Bucket(deadPart).Cursor(), b.Bucket(bodiesPart)
		for k, v := c.Seek(seqKey(after + 1)); k != nil && len(found) < limit; k, v = c.Next() {
			st, h, err := decodeSettlement(k, v)
			if err != nil {
				return err
			}
			body := bodies.Get(k)
			if !h.matches(body) {
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

// Drop implements [store.Lane].
func (l *ownedLane) Drop(ctx context.Context, seq uint64) error {
	return l.store.submit(ctx, newDropOp(l, seq))
}

// Revive implements [store.Lane].
func (l *ownedLane) Revive(ctx context.Context, seq uint64) (*store.Entry, error) {
	op := &reviveOp{dropOp: newDropOp(l, seq)}
	if err := l.store.submit(ctx, op); err != nil {
		return nil, err
	}
	return op.revived, nil
}

// A dropOp deletes a dead letter, a damaged one too.
type dropOp struct {
	ownerOp
	key []byte
	tx  *laneTx // found by check
}

func newDropOp(l *ownedLane, seq uint64) *dropOp {
	return &dropOp{ownerOp: ownerOp{lane: l}, key: seqKey(seq)}
}

func (op *dropOp) check(c *commit) (err error) {
	if err := op.ownerOp.check(c); err != nil {
		return err
	}
	if op.tx, err = c.lane(op.lane.name); err != nil {
		return err
	}
	l := op.tx
	if l == nil || l.part(deadPart).Get(op.key) == nil {
		return fmt.Errorf("boltstore: lane %q: dead letter %d: %w",
			op.lane.name, keySeq(op.key), store.ErrNotFound)
	}
	return nil
}

func (op *dropOp) write(*commit) error { return op.tx.removeDeadLetter(op.key) }

// A reviveOp makes a dead letter pending again.
type reviveOp struct {
	*dropOp
	// What check has found.
	letter  settlement
	header  header
	body    []byte
	revived *store.Entry
}

func (op *reviveOp) check(c *commit) (err error) {
	if err := op.dropOp.check(c); err != nil {
		return err
	}
	l := op.tx
	if op.letter, op.header, err = decodeSettlement(op.key, l.part(deadPart).Get(op.key)); err != nil {
		return err
	}
	op.letter.header = slices.Clone(op.letter.header)
	op.body = slices.Clone(l.part(bodiesPart).Get(op.key))
	return nil
}

func (op *reviveOp) write(c *commit) error {
	if err := op.dropOp.write(c); err != nil {
		return err
	}
	p := progress{
		seq: keySeq(op.key), problem: hashProblem(op.header.problem),
		size: uint32(len(op.letter.header) + len(op.body)), state: begun(0),
		kind: kindOf(op.header.state, op.letter.sticky),
	}
	e := segmentEntry{p, c.now, op.letter.header, op.body}
	op.revived = e.entry(op.tx.name, &op.header)
	op.tx.countPending(&p, 1)
	op.tx.arrived = true
	return op.tx.insert(e)
}

// addDeadLetter adds a dead letter, and removes the oldest ones of the lane above the bounds.
func (l *laneTx) addDeadLetter(s settlement, body []byte) error {
	key := seqKey(s.seq)
	if err := l.part(deadPart).Put(key, encodeSettlement(key, s)); err != nil {
		return err
	}
	if err := l.part(bodiesPart).Put(key, body); err != nil {
		return err
	}
	h, _ := decodeHeader(s.header)
	x, opts := l.commit.store.index, l.opts()
	l.letters++
	x.deadBytes += int64(h.bodySize)
	x.problems.add(hashProblem(h.problem), l.at, holding{entries: 1})
	for l.letters > opts.MaxDead || l.letters > 1 && x.deadBytes > opts.MaxBytes/deadShare {
		oldest, _ := l.part(deadPart).Cursor().First()
		if err := l.removeDeadLetter(slices.Clone(oldest)); err != nil {
			return err
		}
	}
	return nil
}

// removeDeadLetter deletes a dead letter. The problem of a damaged one is not known: the lane holds
// it until the store is opened again.
func (l *laneTx) removeDeadLetter(key []byte) error {
	x, size := l.commit.store.index, len(l.part(bodiesPart).Get(key))
	if _, h, err := decodeSettlement(key, l.part(deadPart).Get(key)); err == nil {
		size = h.bodySize
		x.problems.add(hashProblem(h.problem), l.at, holding{entries: -1})
	}
	l.letters--
	l.commit.changed = true
	x.deadBytes -= int64(size)
	if err := l.part(deadPart).Delete(key); err != nil {
		return err
	}
	return l.part(bodiesPart).Delete(key)
}

// expireDeadLetters deletes those of the next look dead letters that are too old. A damaged one
// stays, and a call that reads it returns the error.
func (l *laneTx) expireDeadLetters(look int) error {
	if l.letters == 0 {
		return nil
	}
	var old [][]byte
	c := l.part(deadPart).Cursor()
	k, v := c.Seek(seqKey(l.nextLetter))
	for n := 0; n < look && k != nil; n++ {
		st, _, err := decodeSettlement(k, v)
		if err == nil && l.commit.now-st.ended > l.opts().DeadAge {
			old = append(old, slices.Clone(k))
		}
		k, v = c.Next()
	}
	l.nextLetter = keySeq(k)
	for _, key := range old {
		if err := l.removeDeadLetter(key); err != nil {
			return err
		}
	}
	return nil
}
