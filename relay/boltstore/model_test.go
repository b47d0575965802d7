package boltstore_test

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"math/rand/v2"
	"reflect"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/guance-relay/guance-relay/guance"
	"github.com/guance-relay/guance-relay/relay/memstore"
	"github.com/guance-relay/guance-relay/relay/store"
)

// Merging, rewriting and inserting of segments must not show: whatever is done to it, the store
// answers as the memory store does.
func TestLikeMemory(t *testing.T) {
	seeds := uint64(6)
	if testing.Short() {
		seeds = 3 // one with groups and two without
	}
	for seed := range seeds {
		t.Run(fmt.Sprint("seed=", seed), inBubble(func(t *testing.T) {
			rnd := rand.New(rand.NewPCG(seed, 1))
			dir := t.TempDir()
			s, m := open(t, dir, nil), memstore.New()
			ls, lm := acquire(t, s), acquire(t, m)
			now := time.Now().UTC().Round(0)
			var last uint64
			pick := func() uint64 { return 1 + rnd.Uint64N(last+1) }
			both := func(what string, a, b error) {
				t.Helper()
				for _, kind := range []error{store.ErrNotFound, store.ErrFull, store.ErrFenced,
					store.ErrDamaged} {
					if errors.Is(a, kind) != errors.Is(b, kind) {
						t.Fatalf("%s: %v, and in memory %v", what, a, b)
					}
				}
				if (a == nil) != (b == nil) {
					t.Fatalf("%s: %v, and in memory %v", what, a, b)
				}
			}
			// Both are closed before either is opened: bbolt may wait for the lock of the file, and
			// neither clock must count that.
			restart := func() {
				t.Helper()
				if err := errors.Join(s.Close(), m.Close()); err != nil {
					t.Fatal(err)
				}
				s = open(t, dir, nil)
				m = m.Restart()
				ls, lm = acquire(t, s), acquire(t, m)
			}
			grouped := seed%3 == 0
			for step := range 300 {
				now = now.Add(time.Second)
				time.Sleep(time.Second)
				switch op := rnd.IntN(100); {
				case op < 45:
					n := 1
					if grouped {
						n = 1 + rnd.IntN(100)
					}
					var a, b []*store.Entry
					for range n {
						e := &store.Entry{
							Lane: lane, ID: fmt.Sprint(rnd.IntN(20_000)),
							Problem: fmt.Sprint("p", rnd.IntN(50)),
							State:   guance.State(rnd.IntN(3)),
							Level:   guance.Level(rnd.IntN(7)), Time: now, Accepted: now,
							Body: bytes.Repeat([]byte{byte(step)}, rnd.IntN(500)),
						}
						if rnd.IntN(10) == 0 {
							e.Ignored = "ignored"
						}
						if rnd.IntN(200) == 0 {
							e.Body = make([]byte, 300_000)
						}
						e2 := *e
						a, b = append(a, e), append(b, &e2)
					}
					both("Append", s.Append(t.Context(), a), m.Append(t.Context(), b))
					for i := range a {
						if a[i].Seq != b[i].Seq {
							t.Fatalf("Append: sequence number %d, and in memory %d", a[i].Seq,
								b[i].Seq)
						}
						last = max(last, a[i].Seq)
					}
				case op < 85:
					var marks []store.Mark
					seq := pick()
					for range 1 + rnd.IntN(60) {
						m := store.Mark{Seq: seq, Problem: fmt.Sprint("p", seq%50),
							State: guance.State(rnd.IntN(3)), Time: now, At: now,
							Failed: rnd.IntN(5), Doubt: rnd.IntN(5) == 0}
						if rnd.IntN(3) > 0 {
							m.Outcome, m.Reason = store.Outcome(1+rnd.IntN(4)),
								fmt.Sprint("step ", step)
						}
						marks = append(marks, m)
						if seq++; rnd.IntN(4) == 0 {
							seq = pick()
						}
					}
					both("Mark", ls.Mark(t.Context(), marks), lm.Mark(t.Context(), marks))
				case op < 95:
					dead, err := m.DeadLetters(t.Context(), lane, pick(), 1)
					if err != nil || len(dead) == 0 {
						continue
					}
					seq := dead[0].Seq
					if op == 94 {
						both("Drop", ls.Drop(t.Context(), seq), lm.Drop(t.Context(), seq))
						continue
					}
					a, errA := ls.Revive(t.Context(), seq)
					b, errB := lm.Revive(t.Context(), seq)
					both("Revive", errA, errB)
					if diff := cmp.Diff(b, a); diff != "" {
						t.Fatal(diff)
					}
				case op < 97:
					restart()
				default:
					alike(t, s, m, ls, lm, last)
				}
			}
			restart()
			alike(t, s, m, ls, lm, last)
		}))
	}
}

// inBubble runs a test in a bubble. Two stores that were opened at one time have the same clock
// there.
func inBubble(fn func(*testing.T)) func(*testing.T) {
	return func(t *testing.T) { synctest.Test(t, fn) }
}

// alike compares everything that two stores answer.
func alike(t *testing.T, s, m store.Store, ls, lm store.Lane, last uint64) {
	t.Helper()
	get := func(s store.Store, l store.Lane) (all struct {
		Held    map[string]store.Holdings
		Entries []*store.Entry
		Bodies  []string
		Records []store.Record
		History [][]store.Settlement
		Dead    []store.Settlement
	}) {
		var err error
		if all.Held, err = s.Holdings(t.Context()); err != nil {
			t.Fatal(err)
		}
		for after := uint64(0); len(all.Entries) < all.Held[lane].Pending; {
			found, err := l.Read(t.Context(), after, 77)
			if err != nil {
				t.Fatal(err)
			}
			all.Entries = append(all.Entries, found...)
			after = found[len(found)-1].Seq
		}
		for seq := range last + 2 {
			e, err := l.Load(t.Context(), seq)
			if err != nil && !errors.Is(err, store.ErrNotFound) {
				t.Fatal(err)
			}
			if err == nil {
				all.Bodies = append(all.Bodies, fmt.Sprintf("%s %x", e.ID, sha256.Sum256(e.Body)))
			}
		}
		for i := range 50 {
			problem := fmt.Sprint("p", i)
			r, err := l.Records(t.Context(), []string{problem})
			if err != nil {
				t.Fatal(err)
			}
			h, err := s.History(t.Context(), lane, problem)
			if err != nil {
				t.Fatal(err)
			}
			for i := range h {
				h[i].Ignored, h[i].Begun, h[i].Failed = "", false, 0 // the outcome says it
			}
			all.Records, all.History = append(all.Records, r[0]), append(all.History, h)
		}
		if all.Dead, err = s.DeadLetters(t.Context(), lane, 0, 100_000); err != nil {
			t.Fatal(err)
		}
		for i := range all.Dead {
			all.Dead[i].Begun, all.Dead[i].Failed = false, 0
			all.Bodies = append(all.Bodies, fmt.Sprintf("%x", sha256.Sum256(all.Dead[i].Body)))
			all.Dead[i].Body = nil
		}
		return all
	}
	// a difference takes cmp minutes to see
	if want, got := get(m, lm), get(s, ls); !reflect.DeepEqual(want, got) {
		t.Fatalf("memory (-) and file (+) differ:\n%.3000s", cmp.Diff(want, got))
	}
}
