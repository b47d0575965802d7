package boltstore

import "slices"

// mergeFactor segments of about one size at the end of a lane become one segment. So a backlog that
// came one by one is opened and listed as fast as one that came at once. Each event is rewritten
// twice at most: in segments of 8 and of 64.
const mergeFactor = 8

// saveProgress writes the progress of the segments with marks. A segment with nothing pending is
// deleted. A segment that is more than half settled is rewritten without the settled entries: all
// rewriting of a segment together is not more than writing it once.
func (l *laneTx) saveProgress() error {
	for first, s := range l.read {
		if !s.changed {
			continue
		}
		pending, pendingBytes, bytes := weigh(s.list)
		if pending > 0 && 2*pendingBytes >= bytes {
			if err := l.part(progressPart).Put(seqKey(first), encodeProgress(first, s.list)); err != nil {
				return err
			}
			continue
		}
		var entries []segmentEntry
		if pending > 0 {
			var err error
			if entries, err = l.pendingEntries(nil, s); err != nil {
				return err
			}
		}
		if err := l.replace(entries, s); err != nil {
			return err
		}
	}
	return nil
}

// weigh returns how many entries are pending, their bytes, and the bytes of all.
func weigh(list []progress) (pending int, pendingBytes, bytes int64) {
	for _, p := range list {
		bytes += int64(p.size)
		if p.state != settled {
			pending++
			pendingBytes += int64(p.size)
		}
	}
	return pending, pendingBytes, bytes
}

// replace writes entries in place of segments.
func (l *laneTx) replace(entries []segmentEntry, segments ...*segment) error {
	for i := range entries { // they are parts of the segments
		entries[i].header = slices.Clone(entries[i].header)
		entries[i].body = slices.Clone(entries[i].body)
	}
	for _, s := range segments {
		if err := l.deleteSegment(s.first); err != nil {
			return err
		}
	}
	return l.putSegments(entries)
}

// merge makes one segment of the last ones of the lane if there are enough of one size. Damaged
// segments are not merged: the call that reads one returns the error.
func (l *laneTx) merge() error {
	for {
		var run []*segment
		var bytes int64
		c := l.part(progressPart).Cursor()
		for k, v := c.Last(); k != nil && len(run) < mergeFactor; k, v = c.Prev() {
			list, err := decodeProgress(nil, k, v)
			if err != nil {
				return nil
			}
			s := &segment{first: keySeq(k), list: list}
			if len(run) > 0 && mergeLevel(s) != mergeLevel(run[0]) {
				return nil
			}
			_, pendingBytes, _ := weigh(list)
			bytes += pendingBytes
			if bytes > maxSegmentBytes || len(list) > maxSegment/mergeFactor {
				return nil
			}
			run = append(run, s)
		}
		if len(run) < mergeFactor {
			return nil
		}
		var entries []segmentEntry
		for _, s := range slices.Backward(run) {
			var err error
			if entries, err = l.pendingEntries(entries, s); err != nil {
				return nil
			}
		}
		if err := l.replace(entries, run...); err != nil {
			return err
		}
	}
}

// mergeLevel is the size of a segment in powers of mergeFactor.
func mergeLevel(s *segment) (level int) {
	for n := len(s.list); n >= mergeFactor; n /= mergeFactor {
		level++
	}
	return level
}

// insert puts an entry that was revived in its place between the others.
func (l *laneTx) insert(e segmentEntry) error {
	s, err := l.segment(e.seq)
	if err != nil {
		return err
	}
	if s == nil {
		return l.replace([]segmentEntry{e})
	}
	entries, err := l.pendingEntries(nil, s) // of the segment around it: segments may not overlap
	if err != nil {
		return err
	}
	at := len(entries)
	for at > 0 && entries[at-1].seq > e.seq {
		at--
	}
	return l.replace(slices.Insert(entries, at, e), s)
}
