package boltstore

import (
	"math"

	bolt "go.etcd.io/bbolt"
)

// Segments hold the pending entries of a lane: what was committed together stands together. They never overlap: each holds all that is
// pending between its first sequence number and its last.
const (
	// maxSegment and maxSegmentBytes bound a segment, so that one entry is found and a sparse segment rewritten in well under a
	// millisecond.
	maxSegment      = 128
	maxSegmentBytes = 256 << 10
	// mergeFactor segments of one size at a lane's end become one, so that a backlog that came one by one is as quickly opened and
	// listed as one that came at once. Each event is rewritten at most twice for it: 1 to 8, 8 to 64.
	mergeFactor = 8
)

// A segment is one of them within a commit.
type segment struct {
	first   uint64
	slots   []slot
	changed bool
}

func (s *segment) last() uint64 { return s.slots[len(s.slots)-1].seq }

// slot returns the slot of an entry that is in the segment and not settled, or nil.
func (s *segment) slot(seq uint64) *slot {
	for i := range s.slots {
		if s.slots[i].seq == seq && s.slots[i].state != settled {
			return &s.slots[i]
		}
	}
	return nil
}

// weigh returns how many entries of a segment are pending, and what they and all of them take.
func weigh(slots []slot) (live int, liveBytes, bytes int64) {
	for _, sl := range slots {
		bytes += int64(sl.size)
		if sl.state != settled {
			live++
			liveBytes += int64(sl.size)
		}
	}
	return live, liveBytes, bytes
}

// seekSegment puts a cursor of the progress on the segment that seq stands in or would stand in, and otherwise on the next one.
func seekSegment(c *bolt.Cursor, seq uint64) (k, v []byte) {
	k, v = c.Seek(seqKey(seq))
	if k == nil {
		return c.Last()
	}
	if keySeq(k) == seq {
		return k, v
	}
	if pk, pv := c.Prev(); pk != nil {
		return pk, pv
	}
	return c.First()
}

// segmentOf returns the value of a segment.
func segmentOf(segments *bolt.Bucket, key []byte) ([]byte, error) {
	if b := segments.Bucket(key); b != nil {
		if v := b.Get(segmentValue); v != nil {
			return v, nil
		}
	}
	return nil, damaged("segment", key)
}

// each calls fn with each entry of a segment, in sequence, until it returns false.
func each(key, value []byte, slots []slot, fn func(item) bool) error {
	headers, bodies, err := segmentHeaders(key, value)
	if err != nil {
		return err
	}
	first := keySeq(key)
	for i := range slots {
		seq, kept, header, rest, ok := nextHeader(first, headers)
		size := int(slots[i].size) - len(header)
		if !ok || seq != slots[i].seq || size < 0 || size > len(bodies) {
			return damaged("segment", key)
		}
		if !fn(item{slots[i], kept, header, bodies[:size:size]}) {
			return nil
		}
		headers, bodies = rest, bodies[size:]
	}
	return nil
}

// segment returns the segment that holds seq, nil if there is none.
func (l *lane) segment(seq uint64) (*segment, error) {
	if s := l.recent; s != nil && s.first <= seq && seq <= s.last() {
		return s, nil
	}
	k, v := seekSegment(l.progress.Cursor(), seq)
	if k == nil || keySeq(k) > seq {
		return nil, nil
	}
	first := keySeq(k)
	s := l.read[first]
	if s == nil {
		slots, err := decodeSlots(nil, k, v)
		if err != nil {
			return nil, err
		}
		s = &segment{first: first, slots: slots}
		l.read[first] = s
		l.commit.store.mapped.touched(1)
	}
	if s.last() < seq {
		return nil, nil
	}
	l.recent = s
	return s, nil
}

// item returns the entry of a slot with header and body, which are parts of the file's map.
func (l *lane) item(s *segment, seq uint64) (found item, err error) {
	key := seqKey(s.first)
	value, err := segmentOf(l.segments, key)
	if err != nil {
		return found, err
	}
	err = each(key, value, s.slots, func(it item) bool {
		if it.seq != seq {
			return true
		}
		found = it
		return false
	})
	return found, err
}

// items appends all pending entries of a segment to dst.
func (l *lane) items(dst []item, s *segment) ([]item, error) {
	key := seqKey(s.first)
	value, err := segmentOf(l.segments, key)
	if err != nil {
		return nil, err
	}
	err = each(key, value, s.slots, func(it item) bool {
		if it.state != settled {
			dst = append(dst, it)
		}
		return true
	})
	return dst, err
}

// putSegment writes a segment of at least one entry.
func (l *lane) putSegment(items []item) error {
	key, slots := seqKey(items[0].seq), make([]slot, len(items))
	for i, it := range items {
		slots[i] = it.slot
	}
	b, err := l.segments.CreateBucket(key)
	if err != nil {
		return err
	}
	if err := b.Put(segmentValue, l.commit.store.encode(items)); err != nil {
		return err
	}
	return l.progress.Put(key, encodeSlots(items[0].seq, slots))
}

// putSegments writes entries as segments of bounded size.
func (l *lane) putSegments(items []item) error {
	for len(items) > 0 {
		n, bytes := 0, int64(0)
		for n < len(items) && n < maxSegment && (n == 0 || bytes+int64(items[n].size) <= maxSegmentBytes) &&
			items[n].seq-items[0].seq <= math.MaxUint32 {
			bytes += int64(items[n].size)
			n++
		}
		if err := l.putSegment(items[:n]); err != nil {
			return err
		}
		items = items[n:]
	}
	return nil
}

func (l *lane) deleteSegment(first uint64) error {
	delete(l.read, first)
	l.recent = nil
	if err := l.segments.DeleteBucket(seqKey(first)); err != nil {
		return err
	}
	return l.progress.Delete(seqKey(first))
}

// saveSegments writes the progress of the segments that were marked. One that holds nothing pending is deleted, and one that holds mostly
// settled entries is rewritten without them: all rewriting of a segment together is not more than writing it once.
func (l *lane) saveSegments() error {
	for first, s := range l.read {
		if !s.changed {
			continue
		}
		live, liveBytes, bytes := weigh(s.slots)
		if live > 0 && 2*liveBytes >= bytes {
			if err := l.progress.Put(seqKey(first), encodeSlots(first, s.slots)); err != nil {
				return err
			}
			continue
		}
		var items []item
		if live > 0 {
			var err error
			if items, err = l.items(nil, s); err != nil {
				return err
			}
		}
		if err := l.replace(items, s); err != nil {
			return err
		}
	}
	return nil
}

// replace puts items in the place of segments.
func (l *lane) replace(items []item, segments ...*segment) error {
	for i := range items { // they are parts of what is deleted
		items[i].header = append([]byte(nil), items[i].header...)
		items[i].body = append([]byte(nil), items[i].body...)
	}
	for _, s := range segments {
		if err := l.deleteSegment(s.first); err != nil {
			return err
		}
	}
	return l.putSegments(items)
}

// merge makes one of the last segments of the lane if there are many of one size. Damage is left for those who want what is damaged.
func (l *lane) merge() error {
	for {
		var run []*segment
		var bytes int64
		c := l.progress.Cursor()
		for k, v := c.Last(); k != nil && len(run) < mergeFactor; k, v = c.Prev() {
			slots, err := decodeSlots(nil, k, v)
			if err != nil {
				return nil
			}
			s := &segment{first: keySeq(k), slots: slots}
			if len(run) > 0 && mergeLevel(s) != mergeLevel(run[0]) {
				return nil
			}
			_, liveBytes, _ := weigh(slots)
			if bytes += liveBytes; bytes > maxSegmentBytes || len(slots) > maxSegment/mergeFactor {
				return nil
			}
			run = append(run, s)
		}
		if len(run) < mergeFactor {
			return nil
		}
		var items []item
		for i := len(run) - 1; i >= 0; i-- {
			var err error
			if items, err = l.items(items, run[i]); err != nil {
				return nil
			}
		}
		if err := l.replace(items, run...); err != nil {
			return err
		}
	}
}

// mergeLevel is the size of a segment in powers of mergeFactor.
func mergeLevel(s *segment) (level int) {
	for n := len(s.slots); n >= mergeFactor; n /= mergeFactor {
		level++
	}
	return level
}

// revive puts an entry back into its place.
func (l *lane) revive(it item) error {
	s, err := l.segment(it.seq)
	if err != nil {
		return err
	}
	var items []item
	var old []*segment
	if s != nil { // what lies around it is pending: they may not overlap
		if items, err = l.items(nil, s); err != nil {
			return err
		}
		old = append(old, s)
	}
	at := len(items)
	for at > 0 && items[at-1].seq > it.seq {
		at--
	}
	items = append(items[:at:at], append([]item{it}, items[at:]...)...)
	return l.replace(items, old...)
}
