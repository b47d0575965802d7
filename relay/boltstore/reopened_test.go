package boltstore_test

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/guance-relay/guance-relay/relay/boltstore"
	"github.com/guance-relay/guance-relay/relay/store"
)

// Each bound holds for what the store has read from its file at Open, as it does for what was added
// since. So the index that was read is right.
func TestBoundsHoldOverReopening(t *testing.T) {
	sized := func(i, n int) *store.Entry {
		e := entry(fmt.Sprint("id ", i), fmt.Sprint("p", i))
		e.Body = make([]byte, n)
		return e
	}
	full := func(t *testing.T, s *boltstore.Store, i, n int, want bool) {
		t.Helper()
		err := keep(t.Context(), s, sized(i, n))
		if errors.Is(err, store.ErrFull) != want || err != nil && !want {
			t.Errorf("entry %d: %v; want it refused: %t", i, err, want)
		}
	}
	dies := func(t *testing.T, s *boltstore.Store, i, n int) {
		t.Helper()
		e := sized(i, n)
		add(t, s, e)
		l := acquire(t, s)
		settle(t, l, store.Dead, time.Now(), e)
	}
	want := func(t *testing.T, s *boltstore.Store, seqs ...uint64) {
		t.Helper()
		if got := deadLetters(t, s); !slices.Equal(got, seqs) {
			t.Errorf("dead letters %v, want %v", got, seqs)
		}
	}
	type again func(*boltstore.Store) *boltstore.Store
	tests := map[string]struct {
		opts boltstore.Options
		play func(*testing.T, *boltstore.Store, again)
	}{
		"the number of entries": {boltstore.Options{MaxEntries: 3, MaxLaneEntries: 9},
			func(t *testing.T, s *boltstore.Store, again again) {
				a := sized(0, 10)
				add(t, s, a, sized(1, 10), sized(2, 10))
				s = again(s)
				full(t, s, 3, 10, true)
				settle(t, acquire(t, s), store.Delivered, time.Now(), a)
				s = again(s)
				full(t, s, 3, 10, false)
				full(t, s, 4, 10, true)
			}},
		"the bytes of entries": {boltstore.Options{MaxBytes: 10_000},
			func(t *testing.T, s *boltstore.Store, again again) {
				a := sized(0, 4000)
				add(t, s, a, sized(1, 4000))
				s = again(s)
				full(t, s, 2, 4000, true)
				settle(t, acquire(t, s), store.Delivered, time.Now(), a)
				s = again(s)
				full(t, s, 2, 4000, false)
				full(t, s, 3, 4000, true)
			}},
		"the number of dead letters": {boltstore.Options{MaxDead: 2},
			func(t *testing.T, s *boltstore.Store, again again) {
				dies(t, s, 0, 10)
				dies(t, s, 1, 10)
				s = again(s)
				want(t, s, 1, 2)
				dies(t, s, 2, 10)
				want(t, s, 2, 3)
			}},
		"the bytes of dead letters": {boltstore.Options{MaxBytes: 40_000},
			func(t *testing.T, s *boltstore.Store, again again) {
				dies(t, s, 0, 4000)
				dies(t, s, 1, 4000)
				s = again(s)
				want(t, s, 1, 2)
				dies(t, s, 2, 4000) // more than a quarter of MaxBytes
				want(t, s, 2, 3)
				s = again(s)
				dies(t, s, 3, 1000)
				want(t, s, 2, 3, 4)
				if err := acquire(t, s).Drop(t.Context(), 2); err != nil {
					t.Fatal(err)
				}
				s = again(s)
				dies(t, s, 4, 4000)
				want(t, s, 3, 4, 5)
				dies(t, s, 5, 4000)
				want(t, s, 4, 5, 6)
			}},
		"the bytes of what is revived": {boltstore.Options{MaxBytes: 10_000},
			func(t *testing.T, s *boltstore.Store, again again) {
				dies(t, s, 0, 2000)
				s = again(s)
				if _, err := acquire(t, s).Revive(t.Context(), 1); err != nil {
					t.Fatal(err)
				}
				full(t, s, 1, 8000, true)
				s = again(s)
				full(t, s, 1, 8000, true)
				full(t, s, 2, 7000, false)
			}},
		"the outcomes": {boltstore.Options{History: 2},
			func(t *testing.T, s *boltstore.Store, again again) {
				a, b, c := sized(0, 10), sized(1, 10), sized(2, 10)
				add(t, s, a, b, c)
				settle(t, acquire(t, s), store.Delivered, time.Now(), a, b)
				s = again(s)
				settle(t, acquire(t, s), store.Delivered, time.Now(), c)
				for i, want := range []int{0, 1, 1} {
					if h, err := s.History(t.Context(), lane, fmt.Sprint("p", i)); err != nil ||
						len(h) != want {
						t.Errorf("entry %d has %d outcomes, %v; want %d", i, len(h), err, want)
					}
				}
			}},
		"the known IDs": {boltstore.Options{Remembered: 2},
			func(t *testing.T, s *boltstore.Store, again again) {
				add(t, s, sized(0, 10), sized(1, 10))
				s = again(s)
				e := sized(0, 10)
				if add(t, s, e); e.Seq != 0 {
					t.Error("an ID within the bound is not known")
				}
				add(t, s, sized(2, 10))
				s = again(s)
				e = sized(0, 10)
				if add(t, s, e); e.Seq == 0 {
					t.Error("an ID beyond the bound is known")
				}
			}},
	}
	for name, test := range tests {
		for how, reopens := range map[string]bool{"as it runs": false, "opened again": true} {
			t.Run(name+", "+how, func(t *testing.T) {
				dir := t.TempDir()
				s := open(t, dir, &test.opts)
				test.play(t, s, func(s *boltstore.Store) *boltstore.Store {
					if !reopens {
						return s
					}
					return reopen(t, s, dir, &test.opts)
				})
			})
		}
	}
}
