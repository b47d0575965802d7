package schedule

import (
	"encoding/binary"
	"runtime"
	"slices"
	"testing"
	"time"
	"unsafe"

	"pgregory.net/rapid"

	"github.com/guance-relay/guance-relay/guance"
	"github.com/guance-relay/guance-relay/relay/store"
)

// A backlog may be of a million problems, and the table in docs/durability.md counts on this.
func TestProblemsAreSmall(t *testing.T) {
	if got := unsafe.Sizeof(problem{}); got != 80 {
		t.Errorf("a problem takes %d bytes, want 80", got)
	}
	const n = 100_000
	held := func() int64 { // it may shrink: what other tests left is collected meanwhile
		runtime.GC()
		runtime.GC() // the first one ends what the pools of others hold
		var stats runtime.MemStats
		runtime.ReadMemStats(&stats)
		return int64(stats.HeapAlloc)
	}
	before := held()
	b := newBench(t, Policy{})
	key := make([]byte, 8)
	for i := range n {
		binary.LittleEndian.PutUint64(key, uint64(i))
		b.accept(b.fault(string(key), guance.Level(1+i%6), 1), store.Record{})
	}
	if each := float64(held()-before) / n; each > 110 {
		t.Errorf("a pending problem takes %.0f bytes, want 110 at most", each)
	}
	for b.pending > 0 {
		tk, _ := b.Next(b.now)
		b.answer(tk, delivered)
	}
	if left := held() - before; left > 100_000 {
		t.Errorf("%d bytes are held for problems that are gone", left)
	}
	runtime.KeepAlive(b)
}

// Problems are found and keep their entries while others are added and removed, with any
// collisions.
func TestProblems(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		ps := newProblems()
		want := make(map[problemID]item)
		ids := rapid.Custom(func(t *rapid.T) (id problemID) {
			// Few homes, so that there are many collisions.
			binary.LittleEndian.PutUint64(id[:], uint64(rapid.IntRange(0, 7).Draw(t, "home")))
			id[15] = byte(rapid.IntRange(0, 40).Draw(t, "other"))
			return id
		})
		seq := uint64(0)
		t.Repeat(map[string]func(*rapid.T){
			"insert": func(t *rapid.T) {
				id := ids.Draw(t, "id")
				if _, there := want[id]; there {
					t.Skip("it is there")
				}
				seq++
				want[id] = item{seq: seq}
				p := ps.insert(id)
				if *p != (problem{id: id}) {
					t.Fatalf("a new problem is %+v", *p)
				}
				ps.push(p, want[id])
				if rapid.Bool().Draw(t, "extra") {
					ps.ensureExtra(p).tries = 1
				}
			},
			"remove": func(t *rapid.T) {
				if p := ps.find(ids.Draw(t, "id")); p != nil {
					delete(want, p.id)
					ps.remove(p)
				}
			},
			"": func(t *rapid.T) {
				if ps.len != len(want) {
					t.Fatalf("%d problems, want %d", ps.len, len(want))
				}
				for id, it := range want {
					p := ps.find(id)
					if p == nil || p.id != id || p.first != it || ps.at(ps.refOf(p)) != p {
						t.Fatalf("problem %x is %+v, want entry %d", id, p, it.seq)
					}
				}
			},
		})
		for id := range want {
			ps.remove(ps.find(id))
		}
		chunks := slices.DeleteFunc(slices.Clone(ps.chunks), func(c *chunk[problem]) bool {
			return c == nil
		})
		if len(chunks) > 0 || ps.extras.len != 0 || len(ps.index) != minIndex {
			t.Fatalf("%d chunks, %d extras and %d places of the index are left of nothing", len(chunks),
				ps.extras.len, len(ps.index))
		}
	})
}

// Room that became free is used again, and given back.
func TestArena(t *testing.T) {
	var a arena[int]
	var refs []ref
	for i := range 130 {
		r, v := a.add()
		*v = i
		refs = append(refs, r)
	}
	if a.len != 130 || len(a.chunks) != 3 {
		t.Fatalf("%d values in %d chunks, want 130 in 3", a.len, len(a.chunks))
	}
	a.remove(refs[5])
	a.remove(refs[70])
	var got []int
	for v := range a.all() {
		if got = append(got, *v); *v == 128 {
			break
		}
	}
	if len(got) != 127 || got[5] != 6 || got[126] != 128 {
		t.Errorf("%v", got)
	}
	for range 64 {
		if _, v := a.add(); *v != 0 {
			t.Fatalf("a new value is %d", *v)
		}
	}
	if a.len != 192 || len(a.chunks) != 3 {
		t.Errorf("%d values in %d chunks, want 192 in 3", a.len, len(a.chunks))
	}
	for _, i := range []int{64, 65, 66, 67} {
		if *a.at(refs[i]) != i {
			t.Errorf("value %d is %d", i, *a.at(refs[i]))
		}
	}
	var small arena[int]
	r, _ := small.add()
	if n := testing.AllocsPerRun(100, func() {
		small.remove(r)
		r, _ = small.add()
	}); n != 0 || len(small.chunks) != 1 {
		t.Errorf("a value that comes and goes allocates %v times, in %d chunks", n, len(small.chunks))
	}
}

// The queue of a problem against a list.
func TestQueue(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		ps := newProblems()
		p := ps.insert(problemID{1})
		var want []item
		seq := uint64(0)
		t.Repeat(map[string]func(*rapid.T){
			"push": func(t *rapid.T) {
				seq++
				it := item{seq: seq, begun: rapid.Bool().Draw(t, "begun")}
				ps.push(p, it)
				want = append(want, it)
			},
			"drop": func(t *rapid.T) {
				if len(want) == 0 {
					t.Skip("empty")
				}
				ps.drop(p)
				want = want[1:]
			},
			"pop": func(t *rapid.T) {
				if len(want) == 0 {
					t.Skip("empty")
				}
				last := len(want) - 1
				if it := *ps.last(p); it != want[last] || ps.pop(p) != it {
					t.Fatalf("the last is %d, want %d", it.seq, want[last].seq)
				}
				want = want[:last]
			},
			"supersede": func(t *rapid.T) {
				begun := func(it item) bool { return it.begun }
				unsent := slices.DeleteFunc(slices.Clone(want), begun)
				if gone := ps.supersede(p); !slices.Equal(gone, unsent) {
					t.Fatalf("%v are gone, want %v", gone, unsent)
				}
				want = slices.DeleteFunc(want, func(it item) bool { return !it.begun })
			},
			"": func(t *rapid.T) {
				ps.releaseExtra(p)
				if got := ps.queue(p); !slices.Equal(got, want) || p.waits() != (len(want) > 0) ||
					(p.extra != 0) != (len(want) > 1) {
					t.Fatalf("the queue is %v, want %v; extra %d", got, want, p.extra)
				}
			},
		})
	})
}

// An entry that is quarantined and then superseded leaves nothing behind.
func TestScheduleRemovesWhatWasQuarantined(t *testing.T) {
	b := newBench(t, Policy{MaxAge: time.Hour})
	b.accept(b.fault("p", guance.LevelCritical, 1), store.Record{})
	b.now = b.now.Add(time.Hour + 1)
	b.Quarantine(b.Expired(b.now, 1)[0], b.now)
	b.accept(b.recovery("p", 2), store.Record{})
	if b.problems.len != 0 || len(b.exempt) != 0 || !b.Oldest().IsZero() {
		t.Errorf("%d problems, %d of them away, the oldest of %v; want nothing", b.problems.len,
			len(b.exempt), b.Oldest())
	}
}
