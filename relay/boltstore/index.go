package boltstore

import (
	"fmt"

	bolt "go.etcd.io/bbolt"

	"github.com/guance-relay/guance-relay/relay/store"
)

// An index is what memory holds of the file, so that a commit need not count. The committer owns
// it. After a transaction that was aborted, it is read from the file again.
type index struct {
	lanes          map[string]*laneIndex // by each name
	all            []*laneIndex          // nil: the lane is gone
	sources        map[string]*window
	problems       problems
	pending        int
	bytes          int64 // of pending entries
	deadBytes      int64
	maxLaneEntries int
	routed         uint64 // events
}

// A laneIndex is the part of one lane.
type laneIndex struct {
	name       string // the present one
	id         uint64 // of its bucket; 0: the file does not have the lane yet
	at         uint32 // its place in index.all
	seq        uint64 // the last sequence number
	pending    int
	letters    int // dead letters
	ended      int // settlements in the history
	records    int
	nextLetter uint64 // expire looks at the dead letters from here on
	routed     uint64 // index.routed of the last event that was offered to the lane
	renamed    bool   // it has several names
}

// used reports whether the lane ever had an entry.
func (l *laneIndex) used() bool { return l != nil && l.seq > 0 }

// lane returns a lane, by any of its names. A new one is not in the file yet.
func (x *index) lane(name string) *laneIndex {
	l := x.lanes[name]
	if l == nil {
		l = &laneIndex{name: name, at: uint32(len(x.all))}
		x.lanes[name] = l
		x.all = append(x.all, l)
	}
	return l
}

func (l *laneIndex) holdings() store.Holdings {
	return store.Holdings{Pending: l.pending, Dead: l.letters}
}

// loadIndex reads the index from the file. Of a pending entry it reads the progress alone, and of
// an open record the age key.
func (s *Store) loadIndex() error {
	old := s.index
	s.index = &index{
		lanes: make(map[string]*laneIndex), sources: make(map[string]*window),
		problems: newProblems(), maxLaneEntries: s.opts.MaxLaneEntries,
	}
	return s.view(func(tx *bolt.Tx) error {
		lanes := tx.Bucket(lanesBucket)
		byID := make(map[uint64]*laneIndex)
		err := lanes.ForEachBucket(func(id []byte) error {
			b := lanes.Bucket(id)
			name, err := decodeName(b.Get(nameKey))
			if err != nil {
				return fmt.Errorf("lane %x: %w", id, err)
			}
			if s.index.lanes[name] != nil {
				return fmt.Errorf("two lanes have the name %q: %w", name, store.ErrDamaged)
			}
			l := s.index.lane(name)
			l.id = keySeq(id)
			byID[l.id] = l
			if old != nil && old.lanes[name] != nil {
				l.nextLetter = old.lanes[name].nextLetter
			}
			if err := s.loadLane(b, l); err != nil {
				return fmt.Errorf("lane %q: %w", name, err)
			}
			return nil
		})
		if err != nil {
			return err
		}
		err = tx.Bucket(namesBucket).ForEach(func(name, value []byte) error {
			id, err := decodeLaneID(name, value)
			if err != nil {
				return fmt.Errorf("lane %q: %w", name, err)
			}
			l := byID[id]
			if l == nil || s.index.lanes[string(name)] != nil && s.index.lanes[string(name)] != l {
				return fmt.Errorf("lane %q: %w", name, damaged("number of a lane", name))
			}
			s.index.lanes[string(name)] = l
			l.renamed = l.renamed || string(name) != l.name
			return nil
		})
		if err != nil {
			return err
		}
		return s.loadSources(tx)
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
				s.index.problems.add(p.problem, l.at, pendingHolding(p.kind&recovery != 0, 1))
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	for _, c := range []struct {
		part  []byte
		count *int
	}{{historyPart, &l.ended}, {closedPart, &l.records}} {
		err := b.Bucket(c.part).ForEach(func(_, _ []byte) error { *c.count++; return nil })
		if err != nil {
			return err
		}
	}
	err = b.Bucket(openPart).ForEach(func(k, _ []byte) error {
		l.records++
		s.index.problems.add(keyProblem(ageRecord(k)), l.at, holding{open: 1})
		return nil
	})
	if err != nil {
		return err
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
		s.index.problems.add(hashProblem(h.problem), l.at, holding{entries: 1})
		s.index.deadBytes += int64(h.bodySize)
		return nil
	})
}
