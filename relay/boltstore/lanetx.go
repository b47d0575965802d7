package boltstore

import bolt "go.etcd.io/bbolt"

// A laneTx is one lane within a commit: its buckets, its index, and what flush writes once all
// operations have run.
type laneTx struct {
	commit *commit
	name   string
	*laneIndex

	bucket                                   *bolt.Bucket // of the lane; the others are its parts
	segments, progress, seen, history        *bolt.Bucket
	dead, bodies, recordValues, closed, open *bolt.Bucket

	appended []segmentEntry // by this commit
	newIDs   []hash

	read   map[uint64]*segment // by this commit, by first sequence number
	recent *segment

	arrived bool        // something became readable
	written int         // records, and marks of entries
	lost    lostRecords // of open problems
}

func newLaneTx(c *commit, name string, b *bolt.Bucket) *laneTx {
	l := &laneTx{
		commit: c, name: name, laneIndex: c.store.index.lane(name),
		bucket: b, segments: b.Bucket(segmentsPart), progress: b.Bucket(progressPart),
		seen: b.Bucket(seenPart), history: b.Bucket(historyPart), dead: b.Bucket(deadPart),
		bodies: b.Bucket(bodiesPart), recordValues: b.Bucket(recordsPart),
		closed: b.Bucket(closedPart), open: b.Bucket(openPart), read: make(map[uint64]*segment),
	}
	// These grow at their end, where bbolt would leave half of each page empty.
	for _, b := range []*bolt.Bucket{
		l.segments, l.progress, l.seen, l.history, l.dead, l.bodies, l.closed, l.open,
	} {
		b.FillPercent = sequentialFill
	}
	return l
}

func (l *laneTx) opts() *Options { return &l.commit.store.opts }

// flush writes what the operations have left to be written together.
func (l *laneTx) flush() error {
	if err := l.saveProgress(); err != nil {
		return err
	}
	if len(l.appended) > 0 {
		if err := l.putSegments(l.appended); err != nil {
			return err
		}
		if err := l.merge(); err != nil {
			return err
		}
	}
	if err := l.window.save(l.seen, l.seq, l.newIDs, l.opts().Remembered); err != nil {
		return err
	}
	if l.bucket.Sequence() == l.seq {
		return nil
	}
	return l.bucket.SetSequence(l.seq)
}

// countPending adds n entries like p to the index, or removes them.
func (l *laneTx) countPending(p *progress, n int) {
	x := l.commit.store.index
	l.pending += n
	x.pending += n
	x.bytes += int64(n) * int64(p.size)
	if n > 0 {
		l.retain(p.problem)
	} else {
		l.release(p.problem)
	}
}
