package boltstore_test

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/guance-relay/guance-relay/guance"
	"github.com/guance-relay/guance-relay/relay/boltstore"
	"github.com/guance-relay/guance-relay/relay/store"
)

func TestMaxBytes(t *testing.T) {
	dir := t.TempDir()
	opts := &boltstore.Options{MaxBytes: 10_000}
	s := open(t, dir, opts)
	large := func(id string, n int) *store.Entry {
		e := entry(id, id)
		e.Body = make([]byte, n)
		return e
	}
	a, b := large("a", 4000), large("b", 4000)
	add(t, s, a, b)
	c := []*store.Entry{large("c", 4000)}
	if err := keep(t.Context(), s, c...); !errors.Is(err, store.ErrFull) {
		t.Fatalf("got %v, want ErrFull", err)
	}
	add(t, s, large("d", 100))
	s = reopen(t, s, dir, opts)
	if err := keep(t.Context(), s, c...); !errors.Is(err, store.ErrFull) {
		t.Fatalf("opened again: got %v, want ErrFull", err)
	}
	settle(t, acquire(t, s), store.Delivered, time.Now(), a)
	add(t, s, large("c", 4000))
}

// The window is exact: the newest IDs are known and the next older one is not. It is the same after
// the store was opened again.
func TestRemembered(t *testing.T) {
	dir := t.TempDir()
	opts := &boltstore.Options{Remembered: 10}
	s := open(t, dir, opts)
	known := func(id string) bool {
		t.Helper()
		s := open(t, dir, opts) // another window, because add changes it
		defer s.Close()
		e := entry(id, "p")
		add(t, s, e)
		return e.Seq == 0
	}
	var batch []*store.Entry
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

// The history keeps the last outcomes, and not the outcomes of the last entries.
func TestHistoryKeepsTheLastOutcomes(t *testing.T) {
	dir := t.TempDir()
	opts := &boltstore.Options{History: 5}
	s := open(t, dir, opts)
	old := entry("old", "old")
	add(t, s, old)
	var all []*store.Entry
	for i := range 20 {
		all = append(all, entry(fmt.Sprint(i), "p"))
	}
	add(t, s, all...)
	l := acquire(t, s)
	settle(t, l, store.Superseded, time.Now(), all...)
	settle(t, l, store.Delivered, time.Now(), old)
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
	var all []*store.Entry
	for i := range 6 {
		all = append(all, entry(fmt.Sprint(i), fmt.Sprint("p", i)))
	}
	add(t, s, all...)
	l := acquire(t, s)
	settle(t, l, store.Dead, time.Now(), all[:5]...)
	if got := deadLetters(t, s); !slices.Equal(got, []uint64{3, 4, 5}) {
		t.Errorf("more than MaxDead: got %v, want the last three", got)
	}
	for i := range 5 {
		if h, err := s.History(t.Context(), lane, fmt.Sprint("p", i)); err != nil || len(h) != 1 ||
			h[0].Outcome != store.Dead {
			t.Errorf("the outcome of entry %d: got %d settlements, %v", i+1, len(h), err)
		}
	}
	if held, err := s.Holdings(t.Context()); err != nil ||
		held[lane] != (store.Holdings{Pending: 1, Dead: 3}) {
		t.Errorf("Holdings: got %+v, %v", held, err)
	}
	// The bound is a quarter of MaxBytes, in bodies. The last dead letter stays whatever its size.
	for i, want := range [][]uint64{{4, 5, 7}, {7, 8}, {9}} {
		e := entry(fmt.Sprint("large ", i), "large")
		e.Body = make([]byte, []int{1000, 9000, 12_000}[i])
		add(t, s, e)
		settle(t, l, store.Dead, time.Now(), e)
		if got := deadLetters(t, s); !slices.Equal(got, want) {
			t.Errorf("after a dead letter of %d bytes: got %v, want %v", len(e.Body), got, want)
		}
	}
}

// ticks makes commits in another lane.
func ticks(t *testing.T, s *boltstore.Store, n int) {
	t.Helper()
	for i := range n {
		e := eventOf(entry("", "ticks"))
		e.Wanted = []store.Offer{{Lane: "another lane", Ignored: fmt.Sprint(i)}}
		route(t, s, e)
	}
}

// Ages do not depend on the wall clock: that of the outcomes is a year behind.
func TestDeadLettersAge(t *testing.T) {
	type expire func(*testing.T, *boltstore.Store, string) *boltstore.Store
	for name, how := range map[string]expire{
		"by commits": func(t *testing.T, s *boltstore.Store, _ string) *boltstore.Store {
			ticks(t, s, 10)
			return s
		},
		"by opening": func(t *testing.T, s *boltstore.Store, dir string) *boltstore.Store {
			return reopen(t, s, dir, nil)
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				dir, lastYear := t.TempDir(), time.Now().AddDate(-1, 0, 0)
				s := open(t, dir, nil)
				var all []*store.Entry
				for i := range 40 {
					all = append(all, entry(fmt.Sprint(i), fmt.Sprint("p", i)))
				}
				add(t, s, all...)
				l := acquire(t, s)
				settle(t, l, store.Dead, lastYear, all[1:]...)
				time.Sleep(time.Hour)
				settle(t, l, store.Dead, lastYear, all[0]) // the oldest entry died last
				time.Sleep(30*24*time.Hour - time.Hour - time.Minute)
				ticks(t, s, 10)
				if got := deadLetters(t, s); len(got) != 40 {
					t.Errorf("before 30 days are over: got %d dead letters, want all 40", len(got))
				}
				time.Sleep(2 * time.Minute)
				s = how(t, s, dir)
				if got := deadLetters(t, s); !slices.Equal(got, []uint64{1}) {
					t.Errorf("after 30 days: got %v, want the one that died later", got)
				}
			})
		})
	}
}

// has reports whether a problem has a record.
func has(t *testing.T, l store.Lane, problem string) bool {
	t.Helper()
	records, err := l.Records(t.Context(), []string{problem})
	if err != nil {
		t.Fatal(err)
	}
	return records[0] != store.Record{}
}

// show marks the trigger of a problem as delivered, and with over its recovery too.
func show(t *testing.T, s *boltstore.Store, l store.Lane, problem string, over bool) {
	t.Helper()
	trigger := entry(problem, problem)
	add(t, s, trigger)
	settle(t, l, 0, time.Now(), trigger)
	settle(t, l, store.Delivered, time.Now(), trigger)
	if over {
		recovery := entry(problem+" recovered", problem)
		recovery.State = guance.StateRecovered
		add(t, s, recovery)
		settle(t, l, store.Delivered, time.Now(), recovery)
	}
}

func TestRecordsAge(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dir := t.TempDir()
		var log bytes.Buffer
		opts := &boltstore.Options{Logger: slog.New(slog.NewTextHandler(&log, nil))}
		s := open(t, dir, opts)
		l := acquire(t, s)
		show(t, s, l, "closed", true)
		show(t, s, l, "open", false)
		pending, dead := entry("pending", "pending"), entry("dead", "dead")
		add(t, s, pending, dead)
		settle(t, l, 0, time.Now(), pending, dead)
		settle(t, l, store.Dead, time.Now(), dead)
		recovery := entry("dead recovered", "dead")
		recovery.State = guance.StateRecovered
		add(t, s, recovery)
		settle(t, l, store.Delivered, time.Now(), recovery)
		for i := range 300 {
			show(t, s, l, fmt.Sprint("many ", i), true)
		}
		expect := func(when string, want map[string]bool) {
			t.Helper()
			for problem, want := range want {
				if got := has(t, l, problem); got != want {
					t.Errorf("%s: the record of the problem %q is there: %v, want %v", when,
						problem, got, want)
				}
			}
		}
		s = reopen(t, s, dir, opts) // what retains a record is read from the file
		l = acquire(t, s)
		time.Sleep(24*time.Hour - time.Minute)
		ticks(t, s, 100)
		expect("before a day is over", map[string]bool{
			"closed": true, "open": true, "pending": true, "dead": true,
			"many 0": true, "many 299": true,
		})
		time.Sleep(3 * time.Minute)
		ticks(t, s, 5)
		left := 0
		for i := range 300 {
			if has(t, l, fmt.Sprint("many ", i)) {
				left++
			}
		}
		if left < 200 || left == 300 {
			t.Errorf("after a few commits: got %d of 300 closed records, want 200 to 299", left)
		}
		ticks(t, s, 100)
		expect("after a day", map[string]bool{
			"closed": false, "open": true, "pending": true, "dead": true,
			"many 0": false, "many 299": false,
		})

		// A dead letter can be replayed, and only the record says that its problem has moved on.
		time.Sleep(29 * 24 * time.Hour)
		if _, err := l.Revive(t.Context(), dead.Seq); err != nil {
			t.Fatal(err)
		}
		ticks(t, s, 100)
		expect("after 29 days more", map[string]bool{"open": false, "pending": true, "dead": true})
		if !strings.Contains(log.String(), "level=WARN") ||
			!strings.Contains(log.String(), "problem=open") {
			t.Errorf("the record of an open problem was forgotten after 30 days: the log says %q",
				log.String())
		}
		settle(t, l, store.Superseded, time.Now(), dead)
		time.Sleep(24*time.Hour + 2*time.Minute)
		s = reopen(t, s, dir, opts)
		l = acquire(t, s)
		expect("a day after it is settled, when the store is opened",
			map[string]bool{"pending": true, "dead": false})
	})
}

// The number of records is bounded, also for problems that were never sent.
func TestReport18RecordsAreBoundedByNumber(t *testing.T) { inBubble(recordsAreBounded)(t) }

func recordsAreBounded(t *testing.T) {
	dir := t.TempDir()
	var log bytes.Buffer
	opts := &boltstore.Options{MaxRecords: 50, Logger: slog.New(slog.NewTextHandler(&log, nil))}
	s := open(t, dir, opts)
	l := acquire(t, s)
	for i := range 20 {
		time.Sleep(time.Second)
		show(t, s, l, fmt.Sprint("open ", i), false)
	}
	pending := entry("pending", "pending")
	add(t, s, pending)
	settle(t, l, 0, time.Now(), pending)
	// Storms of problems that recover before they are sent.
	round := func(n int) {
		time.Sleep(time.Second)
		var batch []*store.Entry
		for i := range 40 {
			pair := fmt.Sprint("pair ", n, "-", i)
			trigger, recovery := entry("trigger of "+pair, pair), entry("recovery of "+pair, pair)
			recovery.State = guance.StateRecovered
			batch = append(batch, trigger, recovery)
		}
		add(t, s, batch...)
		settle(t, l, store.Superseded, time.Now(), batch...)
	}
	for n := range 25 {
		if round(n); n%10 == 5 {
			s = reopen(t, s, dir, opts)
			l = acquire(t, s)
		}
		if got := s.Records(t, lane); got > 50+1 || got < 50 {
			t.Fatalf("after %d problems there are %d records, want 50 or 51", 21+40*(n+1), got)
		}
	}
	for i := range 20 {
		if !has(t, l, fmt.Sprint("open ", i)) {
			t.Errorf("the record of open problem %d is gone, and those of closed ones are there", i)
		}
	}
	if !has(t, l, "pending") || !has(t, l, "pair 24-39") || has(t, l, "pair 0-0") {
		t.Errorf("pending: %v, the last pair: %v, the first: %v; want true, true, false",
			has(t, l, "pending"), has(t, l, "pair 24-39"), has(t, l, "pair 0-0"))
	}
	if log.Len() > 0 {
		t.Errorf("only closed ones were forgotten: the log says %s", log.String())
	}
	// All problems are open: the record that has not changed for the longest time is deleted, and
	// the log says so.
	for i := range 40 {
		time.Sleep(time.Second)
		show(t, s, l, fmt.Sprint("more ", i), false)
	}
	if got := s.Records(t, lane); got > 50+1 || !has(t, l, "more 0") || !has(t, l, "pending") ||
		has(t, l, "open 9") {
		t.Errorf("60 open problems: %d records, the 21st: %v, pending: %v, the tenth: %v; "+
			"want true, true, false",
			got, has(t, l, "more 0"), has(t, l, "pending"), has(t, l, "open 9"))
	}
	if n := strings.Count(log.String(), "level=ERROR"); n == 0 || n > 20 ||
		!strings.Contains(log.String(), "MaxRecords") {
		t.Errorf("%d ERROR lines for open problems that were forgotten: %s", n, log.String())
	}
}

// A negative bound is a mistake. It is no default, and it is found before anything is written.
func TestNegativeOptions(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "data")
	for _, opts := range []boltstore.Options{
		{MaxEntries: -1}, {MaxBytes: -1}, {Remembered: -1}, {History: -1}, {MaxDead: -1},
		{DeadAge: -1}, {MaxRecords: -1}, {MaxLaneEntries: -1},
	} {
		if s, err := boltstore.Open(dir, &opts); err == nil {
			s.Close()
			t.Errorf("Open with %+v succeeded", opts)
		}
	}
	if _, err := os.Stat(dir); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the directory: %v, want that it was not made", err)
	}
}
