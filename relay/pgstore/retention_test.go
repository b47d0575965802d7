package pgstore_test

import (
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/guance-relay/guance-relay/guance"
	"github.com/guance-relay/guance-relay/relay/pgstore"
	"github.com/guance-relay/guance-relay/relay/store"
)

func markOf(e *store.Entry, o store.Outcome) store.Mark {
	return store.Mark{Seq: e.Seq, Problem: e.Problem, State: e.State, Level: e.Level, Time: e.Time,
		Outcome: o, Reason: "reason", At: time.Now()}
}

func expire(t *testing.T, s *pgstore.Store, older time.Duration) {
	t.Helper()
	if err := pgstore.Expire(s, older); err != nil {
		t.Fatal(err)
	}
}

func rows(t *testing.T, s *pgstore.Store, want map[string]int) {
	t.Helper()
	for table, n := range want {
		if got, err := pgstore.Table(s, table); err != nil || got != n {
			t.Errorf("the table %s has %d rows, want %d; %v", table, got, n, err)
		}
	}
}

// settle appends so many problems and ends each entry.
func settle(
	t *testing.T, s *pgstore.Store, l store.Lane, name string, n int, marks ...store.Outcome,
) {
	t.Helper()
	for i := range n {
		e := event(fmt.Sprint(name, i), fmt.Sprint(name, i), "lane")
		appendTo(t, s, e)
		entry := &store.Entry{Seq: e.Placed[0].Seq, Problem: e.Problem, State: e.State, Level: e.Level}
		for _, o := range marks {
			if err := l.Mark(t.Context(), []store.Mark{markOf(entry, o)}); err != nil {
				t.Fatal(err)
			}
		}
	}
}

func TestBoundsByNumber(t *testing.T) {
	opts := schema(t, pgstore.Options{History: 10, MaxDead: 5, Remembered: 7, MaxRecords: 20})
	var log buffer
	opts.Logger = slog.New(slog.NewTextHandler(&log, nil))
	s := open(t, opts)
	l := acquire(t, s, "node", "lane").Lane("lane")
	settle(t, s, l, "dead ", 12, store.Dead)
	settle(t, s, l, "closed ", 10, store.Superseded)
	settle(t, s, l, "open ", 25, 0, store.Delivered)
	h, err := s.History(t.Context(), "lane", "closed 0")
	if err != nil || len(h) != 0 {
		t.Errorf("an outcome above the bound: got %d, %v", len(h), err)
	}
	for _, id := range []string{"open 18", "open 17"} { // the newest 7 are remembered
		e := event(id, "again "+id, "lane")
		appendTo(t, s, e)
		if want := id == "open 18"; e.Duplicate != want {
			t.Errorf("the ID %s: duplicate %v, want %v", id, e.Duplicate, want)
		}
	}
	expire(t, s, 0)
	rows(t, s, map[string]int{"history": 10, "dead": 5, "seen": 7})
	dead, err := s.DeadLetters(t.Context(), "lane", 0, 100)
	if err != nil || len(dead) != 5 || dead[0].Problem != "dead 7" {
		t.Errorf("dead letters: %d, %v", len(dead), err)
	}
	// 20 records without anything pending, all of open problems; 5 of dead letters.
	records, err := l.Records(t.Context(), []string{"closed 9", "open 0", "open 4", "open 5", "dead 11"})
	if err != nil {
		t.Fatal(err)
	}
	for i, want := range []bool{false, false, false, true, true} {
		if got := records[i].Last != 0; got != want {
			t.Errorf("record %d: there %v, want %v", i, got, want)
		}
	}
	got := log.String()
	if !strings.Contains(got, "level=ERROR") || !strings.Contains(got, "forgotten=") {
		t.Errorf("nothing is said of open records that were deleted: %s", got)
	}
	if h, err := s.Holdings(t.Context()); err != nil || h["lane"].Dead != 5 {
		t.Errorf("Holdings: %+v, %v", h, err)
	}
}

func TestBoundsByAge(t *testing.T) {
	opts := schema(t, pgstore.Options{DeadAge: 48 * time.Hour})
	s := open(t, opts)
	l := acquire(t, s, "node", "lane").Lane("lane")
	settle(t, s, l, "dead ", 3, store.Dead)
	settle(t, s, l, "closed ", 3, store.Superseded)
	settle(t, s, l, "open ", 3, 0, store.Delivered)
	settle(t, s, l, "pending ", 3, 0)
	b := batch(event("nonce", "nonce", "lane"))
	b.Nonce = "nonce"
	if err := s.Append(t.Context(), b); err != nil {
		t.Fatal(err)
	}
	expire(t, s, 0)
	rows(t, s, map[string]int{"dead": 3, "problems": 13, "nonces": 1, "entries": 4, "history": 9})
	expire(t, s, 25*time.Hour) // a lease is over by that, too
	rows(t, s, map[string]int{"dead": 3, "problems": 10, "nonces": 0, "entries": 4, "history": 9})
	expire(t, s, 25*time.Hour)
	rows(t, s, map[string]int{"dead": 0, "problems": 10, "entries": 4})
	expire(t, s, 25*time.Hour)
	rows(t, s, map[string]int{"problems": 7})
	expire(t, s, 29*24*time.Hour)
	rows(t, s, map[string]int{"problems": 4, "entries": 4, "seen": 13})
	if h, err := s.Holdings(t.Context()); err != nil || h["lane"] != (store.Holdings{Pending: 4}) {
		t.Errorf("Holdings: %+v, %v", h, err)
	}
}

func TestFullByBytes(t *testing.T) {
	s := open(t, schema(t, pgstore.Options{MaxBytes: 1000}))
	e := event("1", "p", "a", "b")
	e.Body = make([]byte, 400)
	appendTo(t, s, e)
	more := event("2", "q", "a")
	more.Body = make([]byte, 300)
	err := s.Append(t.Context(), batch(more))
	if err == nil || !strings.Contains(err.Error(), "full") {
		t.Errorf("an append above MaxBytes: %v", err)
	}
	l := acquire(t, s, "node", "a").Lane("a")
	if err := l.Mark(t.Context(), []store.Mark{{Seq: 1, Problem: "p", State: guance.StateProblem,
		Outcome: store.Superseded, At: time.Now()}}); err != nil {
		t.Fatal(err)
	}
	appendTo(t, s, more)
}
