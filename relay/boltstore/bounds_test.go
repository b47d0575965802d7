package boltstore_test

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/guance-relay/guance-relay/guance"
	"github.com/guance-relay/guance-relay/relay"
	"github.com/guance-relay/guance-relay/relay/boltstore"
)

func TestMaxBytes(t *testing.T) {
	dir := t.TempDir()
	opts := &boltstore.Options{MaxBytes: 10_000}
	s := open(t, dir, opts)
	large := func(id string, n int) *relay.Entry {
		e := entry(id, id)
		e.Body = make([]byte, n)
		return e
	}
	a, b := large("a", 4000), large("b", 4000)
	add(t, s, a, b)
	if err := s.Append(t.Context(), []*relay.Entry{large("c", 4000)}); !errors.Is(err, relay.ErrFull) {
		t.Fatalf("got %v, want ErrFull", err)
	}
	add(t, s, large("d", 100))
	s = reopen(t, s, dir, opts)
	if err := s.Append(t.Context(), []*relay.Entry{large("c", 4000)}); !errors.Is(err, relay.ErrFull) {
		t.Fatalf("opened again: got %v, want ErrFull", err)
	}
	settle(t, acquire(t, s), relay.Delivered, time.Now(), a)
	add(t, s, large("c", 4000))
}

// The window is exact: the newest IDs are known and the next older one is not, also when it is opened again.
func TestRemembered(t *testing.T) {
	dir := t.TempDir()
	opts := &boltstore.Options{Remembered: 10}
	s := open(t, dir, opts)
	known := func(id string) bool {
		t.Helper()
		s := open(t, dir, opts) // a copy of the window, as asking adds to it
		defer s.Close()
		e := entry(id, "p")
		add(t, s, e)
		return e.Seq == 0
	}
	var batch []*relay.Entry
	for i := range 7 { // several to a value, so that values are deleted late
		batch = append(batch, entry(fmt.Sprint("batch-", i), "p"))
	}
	add(t, s, batch...)
	for i := range 10 {
		add(t, s, entry(fmt.Sprint(i), "p"))
		if i == 2 {
			e := entry("batch-0", "p")
			if add(t, s, e); e.Seq != 0 {
				t.Error("the tenth newest ID is not known")
			}
		}
	}
	e := entry("0", "p")
	if add(t, s, e); e.Seq != 0 {
		t.Error("the tenth newest ID is not known")
	}
	e = entry("batch-6", "p")
	if add(t, s, e); e.Seq == 0 {
		t.Error("the eleventh newest ID is known")
	}
	s.Close()
	if !known("1") || !known("batch-6") {
		t.Error("opened again: the newest IDs are not known")
	}
	if known("0") {
		t.Error("opened again: the eleventh newest ID is known")
	}
}

// The outcomes that are kept are the last ones to come about, not those of the last entries to be accepted.
func TestHistoryKeepsTheLastOutcomes(t *testing.T) {
	dir := t.TempDir()
	opts := &boltstore.Options{History: 5}
	s := open(t, dir, opts)
	old := entry("old", "old")
	add(t, s, old)
	var all []*relay.Entry
	for i := range 20 {
		all = append(all, entry(fmt.Sprint(i), "p"))
	}
	add(t, s, all...)
	l := acquire(t, s)
	settle(t, l, relay.Superseded, time.Now(), all...)
	settle(t, l, relay.Delivered, time.Now(), old)
	check := func() {
		t.Helper()
		if h, err := s.History(t.Context(), lane, "old"); err != nil || len(h) != 1 {
			t.Errorf("the entry that was settled last: got %d settlements, %v", len(h), err)
		}
		h, err := s.History(t.Context(), lane, "p")
		if err != nil || len(h) != 4 || h[0].Seq != all[16].Seq || h[3].Seq != all[19].Seq {
			t.Errorf("the others: got %d settlements, %v; want the last 4", len(h), err)
		}
	}
	check()
	s = reopen(t, s, dir, opts)
	check()
}

// deadLetters returns the sequence numbers of the dead letters.
func deadLetters(t *testing.T, s *boltstore.Store) (list []uint64) {
	t.Helper()
	dead, err := s.DeadLetters(t.Context(), lane, 0, 1000)
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range dead {
		list = append(list, d.Seq)
	}
	return list
}

func TestDeadLettersAreBounded(t *testing.T) {
	s := open(t, t.TempDir(), &boltstore.Options{MaxDead: 3, MaxBytes: 40_000})
	var all []*relay.Entry
	for i := range 6 {
		all = append(all, entry(fmt.Sprint(i), fmt.Sprint("p", i)))
	}
	add(t, s, all...)
	l := acquire(t, s)
	settle(t, l, relay.Dead, time.Now(), all[:5]...)
	if got := deadLetters(t, s); !slices.Equal(got, []uint64{3, 4, 5}) {
		t.Errorf("more than MaxDead: got %v, want the last three", got)
	}
	for i := range 5 {
		if h, err := s.History(t.Context(), lane, fmt.Sprint("p", i)); err != nil || len(h) != 1 || h[0].Outcome != relay.Dead {
			t.Errorf("the outcome of entry %d: got %d settlements, %v", i+1, len(h), err)
		}
	}
	if held, err := s.Holdings(t.Context()); err != nil || held[lane] != (relay.Holdings{Pending: 1, Dead: 3}) {
		t.Errorf("Holdings: got %+v, %v", held, err)
	}
	// A quarter of MaxBytes, in bodies; the last one stays however large it is.
	for i, want := range [][]uint64{{4, 5, 7}, {7, 8}, {9}} {
		e := entry(fmt.Sprint("large ", i), "large")
		e.Body = make([]byte, []int{1000, 9000, 12_000}[i])
		add(t, s, e)
		settle(t, l, relay.Dead, time.Now(), e)
		if got := deadLetters(t, s); !slices.Equal(got, want) {
			t.Errorf("after a dead letter of %d bytes: got %v, want %v", len(e.Body), got, want)
		}
	}
}

// clock is a clock that the test sets.
type clock struct{ t time.Time }

func (c *clock) now() time.Time { return c.t }

func openAt(t *testing.T, dir string, c *clock) *boltstore.Store {
	t.Helper()
	s, err := boltstore.OpenAt(dir, nil, c.now)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

// ticks makes commits that have nothing to do with what is looked for.
func ticks(t *testing.T, s *boltstore.Store, n int) {
	t.Helper()
	for i := range n {
		e := entry("", "ticks")
		e.Lane, e.Ignored = "another lane", fmt.Sprint(i)
		add(t, s, e)
	}
}

func TestDeadLettersAge(t *testing.T) {
	for name, how := range map[string]func(*testing.T, *boltstore.Store, string, *clock) *boltstore.Store{
		"by the commits of another lane": func(t *testing.T, s *boltstore.Store, _ string, _ *clock) *boltstore.Store {
			ticks(t, s, 10)
			return s
		},
		"by opening": func(t *testing.T, s *boltstore.Store, dir string, c *clock) *boltstore.Store {
			s.Close()
			return openAt(t, dir, c)
		},
	} {
		t.Run(name, func(t *testing.T) {
			dir, c := t.TempDir(), &clock{time.Unix(1_000_000, 0)}
			s := openAt(t, dir, c)
			var all []*relay.Entry
			for i := range 40 {
				all = append(all, entry(fmt.Sprint(i), fmt.Sprint("p", i)))
			}
			add(t, s, all...)
			l := acquire(t, s)
			settle(t, l, relay.Dead, c.t, all[1:]...)
			settle(t, l, relay.Dead, c.t.Add(time.Hour), all[0]) // the oldest entry died last
			c.t = c.t.Add(30*24*time.Hour + time.Minute)
			s = how(t, s, dir, c)
			if got := deadLetters(t, s); !slices.Equal(got, []uint64{1}) {
				t.Errorf("after 30 days: got %v, want the one that died later", got)
			}
		})
	}
}

func TestRecordsAge(t *testing.T) {
	dir, c := t.TempDir(), &clock{time.Unix(1_000_000, 0)}
	s := openAt(t, dir, c)
	l := acquire(t, s)
	begin := func(problem string, outcomes ...relay.Outcome) *relay.Entry {
		e := entry(problem, problem)
		add(t, s, e)
		settle(t, l, 0, c.t, e)
		for _, o := range outcomes {
			settle(t, l, o, c.t, e)
		}
		return e
	}
	recovered := func(problem string) {
		e := entry(problem+" recovered", problem)
		e.State = guance.StateRecovered
		add(t, s, e)
		settle(t, l, relay.Delivered, c.t, e)
	}
	begin("closed", relay.Delivered)
	recovered("closed")
	begin("open", relay.Delivered)
	begin("pending")
	dead := begin("dead", relay.Dead)
	recovered("dead")
	for i := range 300 {
		begin(fmt.Sprint("many ", i), relay.Delivered)
		recovered(fmt.Sprint("many ", i))
	}
	has := func(problem string) bool {
		t.Helper()
		records, err := l.Records(t.Context(), []string{problem})
		if err != nil {
			t.Fatal(err)
		}
		return records[0] != relay.Record{}
	}
	expect := func(when string, want map[string]bool) {
		t.Helper()
		for problem, want := range want {
			if got := has(problem); got != want {
				t.Errorf("%s: the record of the problem %q is there: %v, want %v", when, problem, got, want)
			}
		}
	}
	s.Close() // what holds a record is found again in the file
	s = openAt(t, dir, c)
	l = acquire(t, s)
	c.t = c.t.Add(24*time.Hour - time.Minute)
	ticks(t, s, 100)
	expect("before a day is over", map[string]bool{"closed": true, "open": true, "pending": true, "dead": true, "many 0": true, "many 299": true})
	c.t = c.t.Add(2 * time.Minute)
	ticks(t, s, 5)
	expect("after a few commits", map[string]bool{"open": true, "pending": true, "dead": true, "many 99": true}) // a few at a time
	ticks(t, s, 100)
	expect("after a day", map[string]bool{"closed": false, "open": true, "pending": true, "dead": true, "many 0": false, "many 299": false})

	// A dead letter may be replayed as long as it is there, and only the record tells that its problem has moved on.
	c.t = c.t.Add(29 * 24 * time.Hour)
	if _, err := l.Revive(t.Context(), dead.Seq); err != nil {
		t.Fatal(err)
	}
	ticks(t, s, 100)
	expect("after 29 days more", map[string]bool{"open": false, "pending": true, "dead": true})
	settle(t, l, relay.Superseded, time.Unix(1_000_000, 0), dead)
	s.Close()
	s = openAt(t, dir, c)
	l = acquire(t, s)
	expect("when it is settled and the store is opened", map[string]bool{"pending": true, "dead": false})
}
