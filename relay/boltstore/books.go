package boltstore

import (
	"crypto/sha256"
	"fmt"

	bolt "go.etcd.io/bbolt"

	"github.com/guance-relay/guance-relay/relay/store"
)

// books are what memory holds of the file, so that a commit need not count. The committer owns them; what a commit that fails has
// changed in them is undone by reading the file again.
type books struct {
	lanes     map[string]*laneBooks
	pending   int
	bytes     int64 // of pending entries
	deadBytes int64
}

type laneBooks struct {
	seq      uint64 // the last that was given out
	pending  int
	dead     int
	history  int
	window   window
	problems map[uint32]int32 // pending entries and dead letters by the hash of their problem: their records stay

	remembered int    // records
	nextDead   uint64 // where tidying goes on
}

func (b *books) lane(name string) *laneBooks {
	l := b.lanes[name]
	if l == nil {
		l = &laneBooks{window: window{known: make(map[hash]struct{})}, problems: make(map[uint32]int32)}
		b.lanes[name] = l
	}
	return l
}

func (l *laneBooks) holdings() store.Holdings {
	return store.Holdings{Pending: l.pending, Dead: l.dead}
}

// hold and let go of a problem whose record must stay. Two problems of one hash hold each other's.
func (l *laneBooks) hold(problem uint32) { l.problems[problem]++ }

func (l *laneBooks) letGo(problem uint32) {
	if l.problems[problem]--; l.problems[problem] <= 0 {
		delete(l.problems, problem)
	}
}

func hashID(id string) hash {
	sum := sha256.Sum256([]byte(id))
	return hash(sum[:16])
}

// hashProblem is on disk: it may not change. FNV-1a, of 32 bits.
func hashProblem(problem string) uint32 {
	h := uint32(2166136261)
	for i := range len(problem) {
		h = (h ^ uint32(problem[i])) * 16777619
	}
	return h
}

// load makes the books from the file. Of pending entries it reads the progress alone.
func (s *Store) load() error {
	old := s.books
	s.books = &books{lanes: make(map[string]*laneBooks)}
	return s.view(func(tx *bolt.Tx) error {
		lanes := tx.Bucket(lanesBucket)
		return lanes.ForEachBucket(func(name []byte) error {
			l := s.books.lane(string(name))
			if old != nil && old.lanes[string(name)] != nil {
				l.nextDead = old.lanes[string(name)].nextDead
			}
			if err := s.loadLane(lanes.Bucket(name), l); err != nil {
				return fmt.Errorf("lane %q: %w", name, err)
			}
			return nil
		})
	})
}

func (s *Store) loadLane(b *bolt.Bucket, l *laneBooks) error {
	for _, part := range parts {
		if b.Bucket([]byte(part)) == nil {
			return fmt.Errorf("there are no %s: %w", part, store.ErrDamaged)
		}
	}
	l.seq = b.Sequence()
	var slots []slot
	err := b.Bucket(progressPart).ForEach(func(k, v []byte) (err error) {
		if slots, err = decodeSlots(slots[:0], k, v); err != nil {
			return err
		}
		for _, sl := range slots {
			if sl.state != settled {
				l.pending++
				s.books.pending++
				s.books.bytes += int64(sl.size)
				l.hold(sl.problem)
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
	err = b.Bucket(historyPart).ForEach(func(_, _ []byte) error { l.history++; return nil })
	if err != nil {
		return err
	}
	for _, turns := range [][]byte{closedPart, openPart} {
		if err := b.Bucket(turns).ForEach(func(_, _ []byte) error { l.remembered++; return nil }); err != nil {
			return err
		}
	}
	return b.Bucket(deadPart).ForEach(func(k, v []byte) error {
		_, h, err := decodeSettlement(k, v)
		l.dead++
		l.hold(hashProblem(h.problem))
		s.books.deadBytes += int64(h.bodySize)
		return err
	})
}
