package boltstore

import bolt "go.etcd.io/bbolt"

// A laneTx is one lane within a commit: its buckets, its index, and what flush writes once all
// operations have run.
type laneTx struct {
	commit *commit
	*laneIndex

	bucket                                   *bolt.Bucket // of the lane; the others are its parts
	segments, progress, history              *bolt.Bucket
	dead, bodies, recordValues, closed, open *bolt.Bucket

	appended []segmentEntry // by this commit

	read   map[uint64]*segment // by this commit, by first sequence number
	recent *segment

	arrived bool        // something became readable
	written int         // records, and marks of entries
	lost    lostRecords // of open problems
}

func newLaneTx(c *commit, index *laneIndex) *laneTx {
	b := laneBucket(c.tx, index.id)
	l := &laneTx{
		commit: c, laneIndex: index,
		bucket: b, segments: b.Bucket(segmentsPart), progress: b.Bucket(progressPart),
		history: b.Bucket(historyPart), dead: b.Bucket(deadPart),
		bodies: b.Bucket(bodiesPart), recordValues: b.Bucket(recordsPart),
		closed: b.Bucket(closedPart), open: b.Bucket(openPart), read: make(map[uint64]*segment),
	}
	// These grow at their end, where bbolt would leave half of each page empty.
	for _, b := range []*bolt.Bucket{
		l.segments, l.progress, l.history, l.dead, l.bodies, l.closed, l.open,
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
	x.problems.add(p.problem, l.at, pendingHolding(p.kind&recovery != 0, int32(n)))
}
