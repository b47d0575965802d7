package boltstore

import (
	"bytes"

	bolt "go.etcd.io/bbolt"
)

// A laneTx is one lane within a commit: its bucket, its index, and what flush writes once all
// operations have run.
type laneTx struct {
	commit *commit
	*laneIndex
	bucket *bolt.Bucket

	appended []segmentEntry // by this commit

	read   map[uint64]*segment // by this commit, by first sequence number
	recent *segment

	arrived bool        // something became readable
	written int         // records, and marks of entries
	lost    lostRecords // of open problems
}

func newLaneTx(c *commit, l *laneIndex) *laneTx {
	return &laneTx{
		commit: c, laneIndex: l, bucket: laneBucket(c.tx, l.id), read: make(map[uint64]*segment),
	}
}

// part returns a part of the lane. A part that is not used is not opened: of a hundred lanes, a
// commit would spend more on that than on its events. Of one that is, bbolt returns the same
// bucket each time.
func (l *laneTx) part(name []byte) *bolt.Bucket {
	b := l.bucket.Bucket(name)
	if !bytes.Equal(name, recordsPart) {
		b.FillPercent = sequentialFill // it grows at its end: bbolt would leave half of each page
	}
	return b
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
