package relay_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/guance-relay/guance-relay/guance"
	"github.com/guance-relay/guance-relay/relay"
	"github.com/guance-relay/guance-relay/relay/memstore"
	"github.com/guance-relay/guance-relay/relay/store"
)

// A pause goes on after a restart. Time in which the relay did not run does not count, and a wall
// clock that is set neither ends nor prolongs it.
func TestPauseSurvivesRestart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var wrong atomic.Int64
		wall := func() time.Time { return time.Now().Add(time.Duration(wrong.Load())) }
		start := func(db *memstore.Store) (*relay.Relay, *recorder, func()) {
			r, err := relay.New(db, &relay.Options{Logger: slog.New(slog.DiscardHandler), Now: wall})
			if err != nil {
				t.Fatal(err)
			}
			sink := &recorder{}
			r.Handle("lane", sink, nil)
			return r, sink, running(t, r)
		}
		db := memstore.New()
		r, _, stop := start(db)
		time.Sleep(time.Minute)
		if err := r.Pause(t.Context(), "lane", time.Hour, "li", "the target moves"); err != nil {
			t.Fatal(err)
		}
		accept(t, r, event(t, "1", "p", "critical"))
		time.Sleep(20 * time.Minute)
		stop()
		set := time.Now().Add(-20 * time.Minute)
		db = db.Restart()
		r, sink, stop := start(db)
		defer func() { stop() }()
		for _, by := range []time.Duration{365 * 24 * time.Hour, -365 * 24 * time.Hour, 0} {
			wrong.Store(int64(by))
			time.Sleep(13 * time.Minute)
			f := figuresOf(t, r, "lane")
			if f.State != relay.Held || f.Pause == nil || f.Pause.By != "li" ||
				f.Pause.Reason != "the target moves" || !f.Pause.At.Equal(set.Round(0)) {
				t.Fatalf("with the wall clock wrong by %v: the figures are %+v, want a pause", by, f)
			}
		}
		f := figuresOf(t, r, "lane")
		if left := time.Until(f.Pause.Until); left != time.Minute {
			t.Errorf("the pause has %v left, want a minute", left)
		}
		if at := waiting(t, r, nil).Entries[0].At; at.Before(f.Pause.Until) {
			t.Errorf("it is predicted to be sent at %v, and the lane is paused until %v", at, f.Pause.Until)
		}
		expect(t, sink)
		time.Sleep(time.Minute + time.Second)
		expect(t, sink, "p critical")
	})
}

// A resumed lane stays resumed after a restart.
func TestResumeSurvivesRestart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		db := memstore.New()
		for range 2 {
			r := over(t, db)
			sink := &recorder{}
			r.Handle("lane", sink, nil)
			stop := running(t, r)
			accept(t, r, event(t, fmt.Sprint(time.Now()), "p", "critical"))
			time.Sleep(time.Minute)
			expect(t, sink, "p critical")
			if err := r.Pause(t.Context(), "lane", time.Hour, "li", ""); err != nil {
				t.Fatal(err)
			}
			if err := r.Resume(t.Context(), "lane", "li"); err != nil {
				t.Fatal(err)
			}
			stop()
			db = db.Restart()
		}
	})
}

// The next owner of a lane goes on with the pause that the last one has set.
func TestPauseSurvivesFailOver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, all := nodes(t, 2, nil)
		if err := all[1].Pause(t.Context(), "lane", time.Hour, "li", "why"); err != nil {
			t.Fatal(err)
		}
		accept(t, all[1].Relay, event(t, "1", "p", "critical"))
		time.Sleep(10 * time.Second)
		all[0].db.Cut(memstore.RequestsLost)
		defer all[0].db.Cut(memstore.Connected)
		time.Sleep(30 * time.Minute)
		got := all[1].Stats().Lanes[0]
		if got.State != relay.Held || got.Pause == nil || got.Pause.Reason != "why" {
			t.Errorf("the next owner has the figures %+v, want a pause", got)
		}
		expect(t, all[1].sink)
		time.Sleep(31 * time.Minute)
		expect(t, all[1].sink, "p critical")
	})
}

// A search finds what a filter takes, in sending order, and says how far it looked.
func TestWaitingFilter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, all := nodes(t, 2, nil)
		standby := all[1]
		if err := standby.Pause(t.Context(), "lane", time.Hour, "li", ""); err != nil {
			t.Fatal(err)
		}
		statuses := []guance.Status{"critical", "warning"}
		for i := range 40 {
			accept(t, standby.Relay, &guance.Event{
				EventID: fmt.Sprint("id-", i), EventRef: fmt.Sprint("p-", i), Status: statuses[i%2],
				Title: fmt.Sprint("Disk of HOST ", i), Message: "usage is high",
				DimensionTags: map[string]string{"service": []string{"pay", "chat"}[i/20]},
			})
		}
		time.Sleep(time.Minute)
		for _, test := range []struct {
			filter relay.Filter
			n      int
			first  string
		}{
			{relay.Filter{}, 40, "p-0"},
			{relay.Filter{Text: "host 1"}, 11, "p-10"},
			{relay.Filter{Text: "USAGE"}, 40, "p-0"},
			{relay.Filter{Text: "ID-39"}, 1, "p-39"},
			{relay.Filter{Text: "p-39"}, 1, "p-39"},
			{relay.Filter{Text: "nothing"}, 0, ""},
			{relay.Filter{Tag: "service=chat"}, 20, "p-20"},
			{relay.Filter{Tag: "service"}, 40, "p-0"},
			{relay.Filter{Tag: "host"}, 0, ""},
			{relay.Filter{Levels: []guance.Level{guance.LevelWarning}}, 20, "p-1"},
			{relay.Filter{Levels: []guance.Level{guance.LevelWarning}, Tag: "service=chat", Text: "HOST 3"},
				5, "p-31"},
		} {
			for _, r := range []*relay.Relay{all[0].Relay, standby.Relay} {
				var problems []string
				for o := (relay.WaitingOptions{Filter: test.filter, Limit: 3}); ; {
					page := waiting(t, r, &o)
					for _, w := range page.Entries {
						problems = append(problems, w.Problem)
					}
					if page.Next == 0 {
						if page.Looked != 40 || page.Pending != 40 {
							t.Errorf("%+v: looked at %d of %d", test.filter, page.Looked, page.Pending)
						}
						break
					}
					if len(page.Entries) != 3 || page.Looked >= 40 {
						t.Errorf("%+v: a page of %d, looked at %d", test.filter, len(page.Entries), page.Looked)
					}
					o.Offset = page.Next
				}
				if len(problems) != test.n || test.n > 0 && problems[0] != test.first {
					t.Errorf("%+v: found %q, want %d", test.filter, problems, test.n)
				}
				m, err := r.MatchWaiting(t.Context(), "lane", test.filter)
				if err != nil || len(m.Seqs) != test.n || m.Looked != 40 || m.Pending != 40 {
					t.Errorf("%+v: matches %+v, %v", test.filter, m, err)
				}
			}
		}
		// What matches is dropped, from either node.
		m, err := standby.MatchWaiting(t.Context(), "lane", relay.Filter{Tag: "service=chat"})
		if err != nil {
			t.Fatal(err)
		}
		n, err := standby.DropMatching(t.Context(), "lane", append(m.Seqs, 999), "li")
		if n != 20 || err != nil {
			t.Errorf("DropMatching: %d, %v; want 20", n, err)
		}
		dead, err := standby.DeadLetters(t.Context(), "lane", 0, 100)
		if err != nil || len(dead) != 20 || dead[0].Reason != "dropped by li" {
			t.Errorf("dead letters: %d, %v", len(dead), err)
		}
		if n, err := standby.DropMatching(t.Context(), "lane", m.Seqs, "li"); n != 0 || err != nil {
			t.Errorf("DropMatching again: %d, %v; want 0", n, err)
		}
		time.Sleep(10 * time.Second)
		if f := figuresOf(t, standby.Relay, "lane"); f.Backlog != 20 || f.Dead != 20 {
			t.Errorf("the figures are %+v, want 20 pending and 20 dead", f)
		}
	})
}

// What is in flight is not dropped, nor does it count as a match.
func TestDropMatchingInFlight(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		slow := relay.SinkFunc(func(context.Context, *relay.Delivery) error {
			time.Sleep(10 * time.Second)
			return nil
		})
		r, _ := run(t, slow, &relay.SinkOptions{Concurrency: 1})
		time.Sleep(time.Minute)
		accept(t, r, event(t, "1", "p", "critical"))
		time.Sleep(time.Second)
		accept(t, r, event(t, "2", "p", "ok"), event(t, "3", "q", "critical"))
		time.Sleep(time.Second)
		m, err := r.MatchWaiting(t.Context(), "lane", relay.Filter{})
		if err != nil || fmt.Sprint(m.Seqs) != "[3 2]" && fmt.Sprint(m.Seqs) != "[2 3]" {
			t.Errorf("matches %+v, %v; want entries 2 and 3", m, err)
		}
		if n, err := r.DropMatching(t.Context(), "lane", []uint64{1, 2}, "li"); n != 1 || err != nil {
			t.Errorf("DropMatching: %d, %v; want 1", n, err)
		}
		time.Sleep(time.Minute)
		f := figuresOf(t, r, "lane")
		if f.Delivered != 2 || f.Dead != 1 || f.Backlog != 0 {
			t.Errorf("the figures are %+v, want 2 delivered and 1 dead", f)
		}
	})
}

// The problems that the target may show, page by page, from any node.
func TestOpenProblems(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, all := nodes(t, 2, nil)
		for i := range 5 {
			accept(t, all[0].Relay, event(t, fmt.Sprint(i), fmt.Sprint("p", i), "critical"))
		}
		time.Sleep(time.Minute)
		accept(t, all[0].Relay, event(t, "end", "p0", "ok"), event(t, "less", "p1", "warning"))
		time.Sleep(time.Minute)
		levels := make(map[string]guance.Level)
		for from := ""; ; {
			page, err := all[1].OpenProblems(t.Context(), "lane", from, 3)
			if err != nil {
				t.Fatal(err)
			}
			for _, o := range page.Problems {
				levels[o.Problem] = o.Level
				if o.Since.IsZero() || o.Doubt {
					t.Errorf("%+v", o)
				}
			}
			if from = page.Next; from == "" {
				break
			}
		}
		if len(levels) != 4 || levels["p1"] != guance.LevelWarning ||
			levels["p2"] != guance.LevelCritical {
			t.Errorf("open problems: %v", levels)
		}
		if _, err := all[1].OpenProblems(t.Context(), "none", "", 3); !errors.Is(err, relay.ErrNoLane) {
			t.Errorf("of no lane: %v, want ErrNoLane", err)
		}
		for from, limit := range map[string]int{"%": 1, "": 0} {
			if _, err := all[1].OpenProblems(t.Context(), "lane", from, limit); err == nil {
				t.Errorf("from %q, limit %d: no error", from, limit)
			}
		}
	})
}

// A pause that cannot be read is none: it must not keep alerts back.
func TestDamagedPauseIsNone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		db := memstore.New()
		db.Intercept(func(c memstore.Call, do func() error) error {
			if c.Method == "Pause" {
				return store.ErrDamaged
			}
			return do()
		})
		r := over(t, db)
		sink := &recorder{}
		r.Handle("lane", sink, nil)
		defer running(t, r)()
		accept(t, r, event(t, "1", "p", "critical"))
		time.Sleep(time.Minute)
		expect(t, sink, "p critical")
	})
}
