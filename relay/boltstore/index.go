package boltstore

import (
	"fmt"

	bolt "go.etcd.io/bbolt"

	"github.com/guance-relay/guance-relay/relay/store"
)

// An index is what memory holds of the file, so that a commit need not count. The committer owns
// it. After a transaction that was aborted, it is read from the file again.
type index struct {
	lanes     map[string]*laneIndex
	pending   int
	bytes     int64 // of pending entries
	deadBytes int64
}

// A laneIndex is the part of one lane.
type laneIndex struct {
	seq     uint64 // the last sequence number
	pending int
	letters int // dead letters
	ended   int // settlements in the history
	records int
	window  window
	// problems counts the pending entries and dead letters of each problem, by the hash of its
	// key. While there are any, the record of the problem is not deleted. A collision of two
	// hashes only delays the deletion.
	problems   map[uint32]int32
	nextLetter uint64 // expire looks at the dead letters from here on
}

func (x *index) lane(name string) *laneIndex {
	l := x.lanes[name]
	if l == nil {
		l = &laneIndex{
			window: window{known: make(map[hash]struct{})}, problems: make(map[uint32]int32),
		}
		x.lanes[name] = l
	}
	return l
}

func (l *laneIndex) holdings() store.Holdings {
	return store.Holdings{Pending: l.pending, Dead: l.letters}
}

// retain keeps the record of a problem until release has been called as often.
func (l *laneIndex) retain(problem uint32) { l.problems[problem]++ }

func (l *laneIndex) release(problem uint32) {
	if l.problems[problem]--; l.problems[problem] <= 0 {
		delete(l.problems, problem)
	}
}

// hashProblem is FNV-1a of 32 bits. It is on disk and may not change.
func hashProblem(problem string) uint32 {
	h := uint32(2166136261)
	for i := range len(problem) {
		h = (h ^ uint32(problem[i])) * 16777619
	}
	return h
}

// loadIndex reads the index from the file. Of a pending entry it reads the progress alone.
func (s *Store) loadIndex() error {
	old := s.index
	s.index = &index{lanes: make(map[string]*laneIndex)}
	return s.view(func(tx *bolt.Tx) error {
		lanes := tx.Bucket(lanesBucket)
		return lanes.ForEachBucket(func(name []byte) error {
			l := s.index.lane(string(name))
			if old != nil && old.lanes[string(name)] != nil {
				l.nextLetter = old.lanes[string(name)].nextLetter
			}
			if err := s.loadLane(lanes.Bucket(name), l); err != nil {
				return fmt.Errorf("lane %q: %w", name, err)
			}
			return nil
		})
	})
}

func (s *Store) loadLane(b *bolt.Bucket, l *laneIndex) error {
	for _, part := range parts {
		if b.Bucket([]byte(part)) == nil {
			return fmt.Errorf("there are no %s: %w", part, store.ErrDamaged)
		}
	}
	l.seq = b.Sequence()
	var list []progress
	err := b.Bucket(progressPart).ForEach(func(k, v []byte) (err error) {
		if list, err = decodeProgress(list[:0], k, v); err != nil {
			return err
		}
		for _, p := range list {
			if p.state != settled {
				l.pending++
				s.index.pending++
				s.index.bytes += int64(p.size)
				l.retain(p.problem)
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	if err := l.window.load(b.Bucket(seenPart), s.opts.Remembered); err != nil {
		return err
	}
	for _, c := range []struct {
		part  []byte
		count *int
	}{{historyPart, &l.ended}, {closedPart, &l.records}, {openPart, &l.records}} {
		err := b.Bucket(c.part).ForEach(func(_, _ []byte) error { *c.count++; return nil })
		if err != nil {
			return err
		}
	}
	bodies := b.Bucket(bodiesPart)
	return b.Bucket(deadPart).ForEach(func(k, v []byte) error {
		l.letters++
		_, h, err := decodeSettlement(k, v)
		if err != nil { // one damaged dead letter must not keep the relay from starting
			s.log.Error("boltstore: a dead letter cannot be read; it is kept, and can be dropped",
				"seq", keySeq(k), "error", err.Error())
			s.index.deadBytes += int64(len(bodies.Get(k)))
			return nil
		}
		l.retain(hashProblem(h.problem))
		s.index.deadBytes += int64(h.bodySize)
		return nil
	})
}
