package boltstore

import (
	"fmt"
	"maps"
	"reflect"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	bolt "go.etcd.io/bbolt"

	"github.com/guance-relay/guance-relay/guance"
)

// counts is what an index says, in a form that can be compared.
type counts struct {
	Lanes     map[string]laneCounts
	Names     map[string]string             // with the present ones
	Problems  map[uint64]map[string]holding // by hash, then lane
	Sources   map[string][]hash
	Pending   int
	Bytes     int64
	DeadBytes int64
}

type laneCounts struct {
	ID                               uint64
	Seq                              uint64
	Pending, Letters, Ended, Records int
}

func newCounts() *counts {
	return &counts{
		Lanes: make(map[string]laneCounts), Names: make(map[string]string),
		Problems: make(map[uint64]map[string]holding), Sources: make(map[string][]hash),
	}
}

// add adds to what a lane has of a problem.
func (c *counts) add(problem uint64, lane string, d holding) {
	if c.Problems[problem] == nil {
		c.Problems[problem] = make(map[string]holding)
	}
	h := c.Problems[problem][lane]
	h.entries += d.entries
	h.recoveries += d.recoveries
	h.open += d.open
	c.Problems[problem][lane] = h
}

// counts returns what the index says.
func (x *index) counts() *counts {
	c := newCounts()
	c.Pending, c.Bytes, c.DeadBytes = x.pending, x.bytes, x.deadBytes
	for name, l := range x.lanes {
		if l.id != 0 {
			c.Names[name] = l.name
			c.Lanes[l.name] = laneCounts{l.id, l.seq, l.pending, l.letters, l.ended, l.records}
		}
	}
	for _, p := range x.problems.list[1:] {
		for h := range x.problems.of(p.problem) {
			if !p.nothing() && h.lane == p.lane() {
				c.add(p.problem, x.all[h.lane].name, h)
			}
		}
	}
	for name, w := range x.sources {
		ring := append(w.ring[w.next:len(w.ring):len(w.ring)], w.ring[:w.next]...)
		if c.Sources[name] = ring; len(w.known) != len(ring) {
			c.Sources[name] = nil
		}
	}
	return c
}

// recount reads the whole file: of entries the headers, and of records the values.
func (s *Store) recount(tx *bolt.Tx) (*counts, error) {
	c := newCounts()
	err := tx.Bucket(namesBucket).ForEach(func(k, v []byte) error {
		b, present, err := findLane(tx, string(k))
		if err != nil || b == nil {
			return fmt.Errorf("name %q: %v", k, err)
		}
		c.Names[string(k)] = present
		return nil
	})
	if err != nil {
		return nil, err
	}
	lanes := tx.Bucket(lanesBucket)
	err = lanes.ForEachBucket(func(id []byte) error {
		b := lanes.Bucket(id)
		name, err := decodeName(b.Get(nameKey))
		if err != nil {
			return err
		}
		l, err := c.lane(b, name)
		l.ID, l.Seq = keySeq(id), b.Sequence()
		c.Lanes[name] = l
		return err
	})
	if err != nil {
		return nil, err
	}
	sources := tx.Bucket(sourcesBucket)
	return c, sources.ForEachBucket(func(k []byte) error {
		var all []hash
		err := sources.Bucket(k).ForEach(func(k, v []byte) error {
			hashes, err := decodeHashes(k, v)
			all = append(all, hashes...)
			return err
		})
		c.Sources[string(k[1:])] = all[max(0, len(all)-s.opts.Remembered):]
		return err
	})
}

func (c *counts) lane(b *bolt.Bucket, name string) (l laneCounts, err error) {
	err = b.Bucket(progressPart).ForEach(func(k, v []byte) error {
		list, err := decodeProgress(nil, k, v)
		if err != nil {
			return err
		}
		return eachEntry(b.Bucket(segmentsPart), k, list, func(e segmentEntry) bool {
			h, _ := decodeHeader(e.header)
			if e.state != settled {
				l.Pending++
				c.Pending++
				c.Bytes += int64(len(e.header) + len(e.body))
				c.add(hashProblem(h.problem), name,
					pendingHolding(h.state == guance.StateRecovered, 1))
			}
			return true
		})
	})
	if err != nil {
		return l, err
	}
	err = b.Bucket(deadPart).ForEach(func(k, v []byte) error {
		_, h, err := decodeSettlement(k, v)
		l.Letters++
		c.DeadBytes += int64(len(b.Bucket(bodiesPart).Get(k)))
		c.add(hashProblem(h.problem), name, holding{entries: 1})
		return err
	})
	if err != nil {
		return l, err
	}
	err = b.Bucket(recordsPart).ForEach(func(k, v []byte) error {
		r, err := decodeRecord(k, v)
		l.Records++
		if r.Open {
			c.add(keyProblem(k), name, holding{open: 1})
		}
		return err
	})
	l.Ended = b.Bucket(historyPart).Stats().KeyN
	return l, err
}

// CheckIndex compares the index with what it must be, according to the file.
func (s *Store) CheckIndex(t *testing.T) {
	t.Helper()
	op := &countOp{}
	if err := s.submit(t.Context(), op); err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(op.file, op.index) { // cmp takes seconds to see that they are equal
		t.Fatalf("the file (-) and the index (+) differ:\n%.3000s",
			cmp.Diff(op.file, op.index, cmp.AllowUnexported(holding{})))
	}
}

// A countOp counts in the committer.
type countOp struct {
	noOperation
	file, index *counts
}

func (op *countOp) check(c *commit) (err error) {
	op.index = c.store.index.counts()
	op.file, err = c.store.recount(c.tx)
	return err
}

// The table says what was added, however it grows, and uses the place of what was removed again.
func TestProblems(t *testing.T) {
	const lanes = 5
	p := newProblems()
	for _, n := range []uint64{3, 10 * minChains, 3} {
		each := func(fn func(problem uint64, lane uint32)) {
			for i := range n {
				for lane := range uint32(lanes) { // the hashes differ in the first bits or the last
					fn(i, (lane*3+uint32(i))%lanes)
					fn(i<<40, lane)
				}
			}
		}
		want := map[uint64]map[uint32]holding{}
		each(func(problem uint64, lane uint32) {
			if want[problem] == nil {
				want[problem] = map[uint32]holding{}
			}
			h := want[problem][lane]
			h.lane, h.entries, h.recoveries, h.open = lane, h.entries+2, h.recoveries+1, int32(lane%2)
			want[problem][lane] = h
			p.add(problem, lane, holding{entries: 2, recoveries: 1, open: int32(lane % 2)})
		})
		each(func(problem uint64, lane uint32) {
			got := map[uint32]holding{}
			for h := range p.of(problem) {
				got[h.lane] = h
			}
			if !maps.Equal(got, want[problem]) {
				t.Fatalf("of %d problems, %x: got %v, want %v", n, problem, got, want[problem])
			}
		})
		each(func(problem uint64, lane uint32) {
			p.add(problem, lane, holding{entries: -2, recoveries: -1})
		})
		each(func(problem uint64, lane uint32) {
			if p.entries(problem, lane) != 0 {
				t.Fatalf("of %d problems, %x: entries are left", n, problem)
			}
			p.add(problem, lane, holding{open: -int32(lane % 2)})
		})
		if p.used != 0 || slices.ContainsFunc(p.first, func(at uint32) bool { return at != 0 }) {
			t.Fatalf("%d problems, all removed: %d are left", n, p.used)
		}
	}
	if got, want := len(p.list), (2*10*minChains-1)*lanes+1; got != want {
		t.Errorf("the list has %d places, want the %d of the largest round", got, want)
	}
}

// Counts returns what the index says, to be compared.
func (s *Store) Counts(t *testing.T) any {
	t.Helper()
	op := &countOp{}
	if err := s.submit(t.Context(), op); err != nil {
		t.Fatal(err)
	}
	return fmt.Sprintf("%+v", op.index) // maps are printed in order
}

// CountLoads returns a function that returns whether the index was read from the file since.
func (s *Store) CountLoads(t *testing.T) func() int {
	t.Helper()
	index := func() (x *index) {
		if err := s.submit(t.Context(), indexOp{index: &x}); err != nil {
			t.Fatal(err)
		}
		return x
	}
	before := index()
	return func() int {
		if index() != before {
			return 1
		}
		return 0
	}
}

type indexOp struct {
	noOperation
	index **index
}

func (op indexOp) check(c *commit) error { *op.index = c.store.index; return nil }
