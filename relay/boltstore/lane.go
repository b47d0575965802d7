package boltstore

import (
	"slices"

	bolt "go.etcd.io/bbolt"

	"github.com/guance-relay/guance-relay/relay/store"
)

// A lane is one lane within a commit: its part of the file and of the books, and what is written once all jobs have run.
type lane struct {
	commit *commit
	name   string
	*laneBooks

	bucket, segments, progress, seen, past, deadOnes, bodies, records, closed, open *bolt.Bucket

	fresh  []item // appended by this commit
	hashes []hash // of their IDs

	read   map[uint64]*segment // by this commit
	recent *segment

	arrived bool // something became readable
	marked  int  // records that were written
	lost    lost // records of open problems that were forgotten
}

func newLane(c *commit, name string, b *bolt.Bucket) *lane {
	l := &lane{
		commit: c, name: name, laneBooks: c.store.books.lane(name),
		bucket: b, segments: b.Bucket(segmentsPart), progress: b.Bucket(progressPart), seen: b.Bucket(seenPart),
		past: b.Bucket(historyPart), deadOnes: b.Bucket(deadPart), bodies: b.Bucket(bodiesPart), records: b.Bucket(recordsPart),
		closed: b.Bucket(closedPart), open: b.Bucket(openPart),
		read: make(map[uint64]*segment),
	}
	// These grow at their end: bbolt would leave half of each page empty.
	for _, b := range []*bolt.Bucket{l.segments, l.progress, l.seen, l.past, l.deadOnes, l.bodies, l.closed, l.open} {
		b.FillPercent = sequentialFill
	}
	return l
}

// flush writes what the jobs have gathered.
func (l *lane) flush() error {
	if err := l.saveSegments(); err != nil {
		return err
	}
	if len(l.fresh) > 0 {
		if err := l.putSegments(l.fresh); err != nil {
			return err
		}
		if err := l.merge(); err != nil {
			return err
		}
	}
	if err := l.window.save(l.seen, l.seq, l.hashes, l.commit.store.opts.Remembered); err != nil {
		return err
	}
	if l.bucket.Sequence() == l.seq {
		return nil
	}
	return l.bucket.SetSequence(l.seq)
}

// append adds an entry that is not a duplicate and returns its sequence number.
func (l *lane) append(n *newEntry) (uint64, error) {
	l.seq++
	l.commit.changed = true
	if n.ID != "" {
		l.window.add(n.hash, l.commit.store.opts.Remembered)
		l.hashes = append(l.hashes, n.hash)
	}
	if n.Ignored != "" {
		now := l.commit.now
		return l.seq, l.remember(settlement{l.seq, store.Ignored, n.Accepted, now, now, n.header, n.Ignored})
	}
	it := item{slot{seq: l.seq, problem: n.problem, size: n.size()}, l.commit.now, n.header, n.Body}
	l.fresh = append(l.fresh, it)
	l.counts(&it.slot, 1)
	l.arrived = true
	return l.seq, nil
}

// counts keeps the books of pending entries.
func (l *lane) counts(s *slot, n int) {
	b := l.commit.store.books
	l.pending += n
	b.pending += n
	b.bytes += int64(n) * int64(s.size)
	if n > 0 {
		l.hold(s.problem)
	} else {
		l.letGo(s.problem)
	}
}

// mark records how far an entry has gone; nothing if it is settled.
func (l *lane) mark(m *store.Mark) error {
	s, err := l.segment(m.Seq)
	if err != nil || s == nil {
		return err
	}
	sl := s.slot(m.Seq)
	if sl == nil {
		return nil
	}
	if err := l.apply(m); err != nil {
		return err
	}
	l.marked++
	l.commit.changed, s.changed = true, true
	if m.Outcome == 0 {
		sl.state = begun(m.Failed)
		return nil
	}
	it, err := l.item(s, m.Seq)
	if err != nil {
		return err
	}
	ended := settlement{m.Seq, m.Outcome, m.At, it.kept, l.commit.now, slices.Clone(it.header), m.Reason}
	if err := l.remember(ended); err != nil {
		return err
	}
	if m.Outcome == store.Dead {
		if err := l.bury(ended, slices.Clone(it.body)); err != nil {
			return err
		}
	}
	l.counts(sl, -1)
	sl.state = settled
	return nil
}

// remember adds a settlement to the history, and forgets the oldest above the bound.
func (l *lane) remember(s settlement) error {
	n, err := l.past.NextSequence()
	if err != nil {
		return err
	}
	key := seqKey(n)
	if err := l.past.Put(key, encodeSettlement(key, s)); err != nil {
		return err
	}
	for l.history++; l.history > l.commit.store.opts.History; l.history-- {
		first, _ := l.past.Cursor().First()
		if err := l.past.Delete(first); err != nil {
			return err
		}
	}
	return nil
}

// bury adds a dead letter, and forgets the oldest above the bounds.
func (l *lane) bury(s settlement, body []byte) error {
	key := seqKey(s.seq)
	if err := l.deadOnes.Put(key, encodeSettlement(key, s)); err != nil {
		return err
	}
	if err := l.bodies.Put(key, body); err != nil {
		return err
	}
	h, _ := decodeHeader(s.header)
	books, opts := l.commit.store.books, &l.commit.store.opts
	l.dead++
	books.deadBytes += int64(h.bodySize)
	l.hold(hashProblem(h.problem))
	for l.dead > opts.MaxDead || l.dead > 1 && books.deadBytes > opts.MaxBytes/deadShare {
		first, v := l.deadOnes.Cursor().First()
		_, h, err := decodeSettlement(first, v)
		if err != nil {
			return err
		}
		if err := l.exhume(slices.Clone(first), &h); err != nil {
			return err
		}
	}
	return nil
}

// exhume deletes a dead letter.
func (l *lane) exhume(key []byte, h *header) error {
	l.dead--
	l.commit.changed = true
	l.commit.store.books.deadBytes -= int64(h.bodySize)
	l.letGo(hashProblem(h.problem))
	if err := l.deadOnes.Delete(key); err != nil {
		return err
	}
	return l.bodies.Delete(key)
}
