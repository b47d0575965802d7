package boltstore

import (
	"encoding/binary"
	"math"
	"slices"
	"time"

	bolt "go.etcd.io/bbolt"

	"github.com/guance-relay/guance-relay/relay/store"
)

// Segments hold the pending entries of a lane. Entries that were committed together are in one
// segment. Segments never overlap: each has everything that is pending between its first and its
// last sequence number. The bounds of a segment let the store find an entry, or rewrite the
// segment, in well under a millisecond.
const (
	maxSegment      = 128
	maxSegmentBytes = 256 << 10
)

// A segmentEntry is one entry of a segment. Its time is beside the header, because the caller
// encodes the header and only the committer knows the time.
type segmentEntry struct {
	progress
	kept   time.Duration
	header []byte
	body   []byte
}

// entry returns the entry without its body. h is the decoded header.
func (se *segmentEntry) entry(lane string, h *header) *store.Entry {
	e := h.entry(lane, se.seq, se.kept)
	if e.Begun = se.state != 0; e.Begun {
		e.Failed = int(se.state - 1)
	}
	e.Sticky = se.kind&sticky != 0
	return &e
}

// appendSegment encodes the entries of a segment: first the headers, so that a backlog is listed
// without its bodies, then the bodies.
//
//	headers   uint32, the size of the next part, where the checksum ends; then for each entry
//	          seq above the first as uvarint, kept as clock, size of the header as uvarint, header
//	bodies    one after the other; each header has the checksum of its body
func appendSegment(dst []byte, entries []segmentEntry) []byte {
	first, size := entries[0].seq, 8
	for _, e := range entries {
		size += 2*binary.MaxVarintLen32 + binary.MaxVarintLen64 + len(e.header) + len(e.body)
	}
	dst = slices.Grow(dst, size)
	start := len(dst)
	b := dst[start : start+8] // checksum and size, filled in below
	for _, e := range entries {
		b = binary.AppendUvarint(b, e.seq-first)
		b = appendClock(b, e.kept)
		b = binary.AppendUvarint(b, uint64(len(e.header)))
		b = append(b, e.header...)
	}
	binary.LittleEndian.PutUint32(b[4:], uint32(len(b)-8))
	seal(seqKey(first), b)
	for _, e := range entries {
		b = append(b, e.body...)
	}
	return dst[:start+len(b)]
}

// splitSegment returns the headers and the bodies of a segment.
func splitSegment(key, value []byte) (headers, bodies []byte, err error) {
	if len(value) < 8 {
		return nil, nil, damaged("segment", key)
	}
	end := uint64(binary.LittleEndian.Uint32(value[4:])) + 8
	if end > uint64(len(value)) {
		return nil, nil, damaged("segment", key)
	}
	if _, err := unseal("segment", key, value[:end]); err != nil {
		return nil, nil, err
	}
	return value[8:end], value[end:], nil
}

// eachEntry calls fn with each entry of a segment, in order, until it returns false.
func eachEntry(
	segments *bolt.Bucket, key []byte, list []progress, fn func(segmentEntry) bool,
) error {
	b := segments.Bucket(key)
	if b == nil {
		return damaged("segment", key)
	}
	return decodeSegment(key, b.Get(segmentKey), list, fn)
}

func decodeSegment(key, value []byte, list []progress, fn func(segmentEntry) bool) error {
	headers, bodies, err := splitSegment(key, value)
	if err != nil {
		return err
	}
	first, d := keySeq(key), decoder{b: headers}
	for _, p := range list {
		seq, kept, header := first+d.uvarint(), d.clock(), d.bytes()
		size := int(p.size) - len(header)
		if d.bad || seq != p.seq || size < 0 || size > len(bodies) {
			return damaged("segment", key)
		}
		if !fn(segmentEntry{p, kept, header, bodies[:size:size]}) {
			return nil
		}
		bodies = bodies[size:]
	}
	return nil
}

// seekSegment moves a cursor of the progress bucket to the segment that has seq or would have it,
// and otherwise to the next one.
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

// A segment is the progress of a segment's entries within a commit.
type segment struct {
	first   uint64
	list    []progress
	changed bool
}

func (s *segment) last() uint64 { return s.list[len(s.list)-1].seq }

// pending returns the progress of an entry; nil if the segment does not have it, or it is settled.
func (s *segment) pending(seq uint64) *progress {
	for i := range s.list {
		if s.list[i].seq == seq && s.list[i].state != settled {
			return &s.list[i]
		}
	}
	return nil
}

// segment returns the segment with seq; nil if there is none.
func (l *laneTx) segment(seq uint64) (*segment, error) {
	if s := l.recent; s != nil && s.first <= seq && seq <= s.last() {
		return s, nil
	}
	k, v := seekSegment(l.part(progressPart).Cursor(), seq)
	if k == nil || keySeq(k) > seq {
		return nil, nil
	}
	first := keySeq(k)
	s := l.read[first]
	if s == nil {
		list, err := decodeProgress(nil, k, v)
		if err != nil {
			return nil, err
		}
		s = &segment{first: first, list: list}
		l.read[first] = s
		l.commit.store.mapped.touched(1)
	}
	if s.last() < seq {
		return nil, nil
	}
	l.recent = s
	return s, nil
}

// entry returns an entry of a segment. Its header and body are parts of the file's map.
func (l *laneTx) entry(s *segment, seq uint64) (found segmentEntry, err error) {
	err = eachEntry(l.part(segmentsPart), seqKey(s.first), s.list, func(e segmentEntry) bool {
		if e.seq == seq {
			found = e
		}
		return e.seq != seq
	})
	return found, err
}

// pendingEntries appends the pending entries of a segment to dst.
func (l *laneTx) pendingEntries(dst []segmentEntry, s *segment) ([]segmentEntry, error) {
	err := eachEntry(l.part(segmentsPart), seqKey(s.first), s.list, func(e segmentEntry) bool {
		if e.state != settled {
			dst = append(dst, e)
		}
		return true
	})
	return dst, err
}

// putSegments writes entries as segments of bounded size.
func (l *laneTx) putSegments(entries []segmentEntry) error {
	for len(entries) > 0 {
		first, n, bytes := entries[0].seq, 1, int64(entries[0].size)
		for ; n < len(entries) && n < maxSegment; n++ {
			bytes += int64(entries[n].size)
			if bytes > maxSegmentBytes || entries[n].seq-first > math.MaxUint32 {
				break
			}
		}
		if err := l.putSegment(entries[:n]); err != nil {
			return err
		}
		entries = entries[n:]
	}
	return nil
}

func (l *laneTx) putSegment(entries []segmentEntry) error {
	key, list := seqKey(entries[0].seq), make([]progress, len(entries))
	for i, e := range entries {
		list[i] = e.progress
	}
	b, err := l.part(segmentsPart).CreateBucket(key)
	if err != nil {
		return err
	}
	if err := b.Put(segmentKey, l.commit.store.encodeSegment(entries)); err != nil {
		return err
	}
	return l.part(progressPart).Put(key, encodeProgress(entries[0].seq, list))
}

// encodeSegment returns the value of a segment. bbolt refers to it until the transaction ends.
// The next one uses the memory again, which would be half of what a commit allocates.
func (s *Store) encodeSegment(entries []segmentEntry) []byte {
	if cap(s.encoded) > 2*maxBatchBytes { // after one very large event
		s.encoded = nil
	}
	start := len(s.encoded)
	s.encoded = appendSegment(s.encoded, entries)
	return s.encoded[start:len(s.encoded):len(s.encoded)]
}

func (l *laneTx) deleteSegment(first uint64) error {
	delete(l.read, first)
	l.recent = nil
	if err := l.part(segmentsPart).DeleteBucket(seqKey(first)); err != nil {
		return err
	}
	return l.part(progressPart).Delete(seqKey(first))
}
