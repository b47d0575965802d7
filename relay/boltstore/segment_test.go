package boltstore

import (
	"fmt"
	"testing"
	"time"

	bolt "go.etcd.io/bbolt"

	"github.com/guance-relay/guance-relay/relay/store"
)

// segments returns how many segments a lane has, and how many bytes.
func (s *Store) segments(t *testing.T, lane string) (n, bytes int) {
	t.Helper()
	err := s.viewLane(lane, func(b *bolt.Bucket, _ string) error {
		segments := b.Bucket(segmentsPart)
		return b.Bucket(progressPart).ForEach(func(k, _ []byte) error {
			n, bytes = n+1, bytes+len(segments.Bucket(k).Get(segmentKey))
			return nil
		})
	})
	if err != nil {
		t.Fatal(err)
	}
	return n, bytes
}

func fill(t *testing.T, s *Store, lane string, n, at int) {
	t.Helper()
	b := &store.Batch{}
	for i := range n {
		b.Events = append(b.Events, &store.Event{
			Problem: fmt.Sprint("p", i, " of ", lane), Body: make([]byte, at),
			Wanted: []store.Offer{{Lane: lane}},
		})
	}
	if err := s.Append(t.Context(), b); err != nil {
		t.Fatal(err)
	}
}

func TestSegmentsAreMerged(t *testing.T) {
	s, err := Open(t.TempDir(), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	for range 200 {
		fill(t, s, "alone", 1, 1000)
	}
	if n, _ := s.segments(t, "alone"); n > 200/64+7+7 {
		t.Errorf("200 entries that came one by one are in %d segments", n)
	}
	for range 4 {
		fill(t, s, "together", 300, 100)
	}
	if n, _ := s.segments(t, "together"); n != 4*3 {
		t.Errorf("4 times 300 entries are in %d segments, want 3 for each 300", n)
	}
	fill(t, s, "large", 4, maxSegmentBytes)
	if n, _ := s.segments(t, "large"); n != 4 {
		t.Errorf("4 large entries are in %d segments", n)
	}
	for range 20 {
		fill(t, s, "large one by one", 1, maxSegmentBytes/4)
	}
	if n, _ := s.segments(t, "large one by one"); n != 20 {
		t.Errorf("20 large entries are in %d segments: they were copied and need not be", n)
	}
}

// Settled entries never take more space than pending ones, whatever the order of settlement.
func TestSegmentsAreRewritten(t *testing.T) {
	s, err := Open(t.TempDir(), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	const n, size = maxSegment, 1000
	fill(t, s, "lane", n, size)
	lease, err := s.Acquire(t.Context(), store.Group{Name: "lane", Lanes: []string{"lane"}})
	if err != nil {
		t.Fatal(err)
	}
	l := lease.Lane("lane")
	for i := range uint64(n - 1) {
		if err := l.Mark(t.Context(),
			[]store.Mark{{Seq: 1 + i*37%n, Outcome: store.Delivered, At: time.Now()}}); err != nil {
			t.Fatal(err)
		}
		left := n - 1 - int(i)
		if segments, bytes := s.segments(t, "lane"); segments != 1 ||
			bytes > 2*left*(size+50)+2*(size+50) {
			t.Fatalf("%d entries of %d bytes are in %d segments of %d bytes", left, size, segments,
				bytes)
		}
	}
	if err := l.Mark(t.Context(),
		[]store.Mark{{Seq: 1 + (n-1)*37%n, Outcome: store.Delivered, At: time.Now()}}); err != nil {
		t.Fatal(err)
	}
	if segments, _ := s.segments(t, "lane"); segments != 0 {
		t.Errorf("an empty lane has %d segments", segments)
	}
}
