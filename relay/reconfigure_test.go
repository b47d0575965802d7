package relay_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/guance-relay/guance-relay/guance"
	"github.com/guance-relay/guance-relay/relay"
	"github.com/guance-relay/guance-relay/relay/memstore"
	"github.com/guance-relay/guance-relay/relay/store"
)

func setLane(t *testing.T, r *relay.Relay, name string, s relay.Sink, opts *relay.SinkOptions) {
	t.Helper()
	if err := r.SetLane(t.Context(), name, s, opts); err != nil {
		t.Errorf("SetLane: %v", err)
	}
}

// figuresOf returns the figures of a lane.
func figuresOf(t *testing.T, r *relay.Relay, name string) relay.LaneStats {
	t.Helper()
	for _, l := range r.Stats().Lanes {
		if l.Name == name {
			return l
		}
	}
	t.Fatalf("there is no lane %s", name)
	return relay.LaneStats{}
}

// A lane gets another sink while it runs. The attempt in flight ends first, and the backlog goes to
// the new sink in its order. Other lanes go on.
func TestSetLaneReplaces(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		old, other, next := &recorder{}, &recorder{}, &recorder{}
		slow := func(context.Context, *relay.Delivery) error { time.Sleep(3 * time.Second); return nil }
		old.answer, other.answer = slow, slow
		r := over(t, memstore.New())
		r.Handle("lane", old, &relay.SinkOptions{Concurrency: 1})
		r.Handle("other", other, &relay.SinkOptions{Match: relay.MatchLabel("none")})
		if err := r.SetLane(t.Context(), "other", other, nil); err != nil { // before Run, too
			t.Fatal(err)
		}
		defer running(t, r)()
		time.Sleep(time.Second)
		for i := range 3 {
			accept(t, r, event(t, fmt.Sprint(i), fmt.Sprint("p", i), "critical"))
		}
		time.Sleep(time.Second)
		setLane(t, r, "lane", next, &relay.SinkOptions{Concurrency: 1})
		expect(t, old, "p0 critical")
		time.Sleep(time.Minute)
		expect(t, old, "p0 critical")
		expect(t, next, "p1 critical", "p2 critical")
		if got := other.taken(); len(got) != 3 {
			t.Errorf("the other lane sent %q", got)
		}
		if got := figuresOf(t, r, "lane"); got.Delivered != 3 || got.Attempts != 3 {
			t.Errorf("the figures do not go on: %+v", got)
		}
	})
}

// The pause after a 429 outlives the sink, and so does the budget.
func TestSetLaneKeepsPauseAndBudget(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sink := &recorder{}
		opts := &relay.SinkOptions{PerMinute: 2}
		r := over(t, memstore.New())
		r.Handle("lane", sink, opts)
		defer running(t, r)()
		time.Sleep(2 * time.Minute)
		for i := range 30 {
			accept(t, r, event(t, fmt.Sprint(i), fmt.Sprint("p", i), "critical"))
		}
		for range 40 {
			time.Sleep(7 * time.Second)
			setLane(t, r, "lane", sink, opts)
		}
		sent := sink.times()
		relay.CheckWindows(t, sent, 2)
		if len(sent) < 5 {
			t.Errorf("%d requests in almost five minutes: a replaced lane does not get on", len(sent))
		}
		busy := relay.SinkFunc(func(context.Context, *relay.Delivery) error {
			return relay.RetryAfter(errDown, 10*time.Minute)
		})
		setLane(t, r, "lane", busy, &relay.SinkOptions{PerMinute: 600})
		time.Sleep(time.Minute)
		before := len(sink.taken())
		setLane(t, r, "lane", sink, &relay.SinkOptions{PerMinute: 500})
		time.Sleep(8 * time.Minute)
		if n := len(sink.taken()); n != before {
			t.Errorf("%d events were sent in the pause that the target asked for", n-before)
		}
		time.Sleep(2 * time.Minute)
		if n := len(sink.taken()); n == before {
			t.Error("nothing was sent after the pause")
		}
	})
}

// A lane that loses its sink keeps what it has: it supersedes, expires, can be dropped, and sends
// nothing. With a sink again it goes on.
func TestRemoveLane(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sink := &recorder{answer: down}
		r := over(t, memstore.New())
		r.Handle("lane", sink, &relay.SinkOptions{MaxAge: 10 * time.Hour, PerMinute: 1})
		r.Handle("rest", &recorder{}, &relay.SinkOptions{Fallback: true})
		defer running(t, r)()
		accept(t, r, event(t, "1", "begun", "critical"))
		time.Sleep(5 * time.Minute)
		for i, problem := range []string{"over", "kept", "old"} {
			accept(t, r, event(t, fmt.Sprint("2", i), problem, "critical"))
		}
		if err := r.RemoveLane(t.Context(), "lane"); err != nil {
			t.Fatal(err)
		}
		sink.set(nil)
		if err := r.RemoveLane(t.Context(), "lane"); !errors.Is(err, relay.ErrNoLane) {
			t.Errorf("RemoveLane of a lane without a sink: %v, want ErrNoLane", err)
		}
		for _, step := range []struct{ problem, status, want string }{
			{"new", "critical", "map[rest:accepted]"}, // it takes no new problem
			{"over", "ok", "map[lane:sticky rest:accepted]"},
			{"begun", "ok", "map[lane:sticky rest:accepted]"},
			{"kept", "error", "map[lane:sticky rest:accepted]"},
		} {
			got := accept(t, r, event(t, "3"+step.problem, step.problem, step.status))[0]
			if fmt.Sprint(got.Lanes) != step.want {
				t.Errorf("%s %s: got %v, want %s", step.problem, step.status, got.Lanes, step.want)
			}
		}
		time.Sleep(time.Hour)
		if got := figuresOf(t, r, "lane"); got.State != relay.NoSink || got.Backlog != 3 {
			t.Errorf("figures %+v, want a lane without a sink that has begun, its recovery and old", got)
		}
		if err := r.Check(t.Context()); err != nil {
			t.Errorf("Check: %v", err)
		}
		if got, err := r.Explain(t.Context(), "old"); err != nil || len(got) != 1 ||
			!strings.Contains(got[0].String(), "the lane has no sink") {
			t.Errorf("Explain: %v, %v", got, err)
		}
		expect(t, sink)
		setLane(t, r, "lane", sink, &relay.SinkOptions{MaxAge: 10 * time.Hour})
		time.Sleep(3 * time.Minute) // its recovery is sent twice, as an answer was lost
		expect(t, sink, "begun critical", "old critical", "begun ok", "begun ok")
		if err := r.RemoveLane(t.Context(), "lane"); err != nil {
			t.Fatal(err)
		}
		accept(t, r, event(t, "4", "old", "error")) // a change of what the lane shows
		time.Sleep(11 * time.Hour)
		dead, err := r.DeadLetters(t.Context(), "lane", 0, 10)
		if err != nil || len(dead) != 1 || !strings.Contains(dead[0].Reason, "not delivered within 10h") {
			t.Fatalf("dead letters %+v, %v; want what the lane had without a sink", dead, err)
		}
		if err := r.Replay(t.Context(), "lane", dead[0].Seq); !errors.Is(err, relay.ErrNoLane) {
			t.Errorf("Replay without a sink: %v, want ErrNoLane", err)
		}
		if err := r.Drop(t.Context(), "lane", dead[0].Seq); err != nil {
			t.Errorf("Drop without a sink: %v", err)
		}
	})
}

// An event can come to a lane that this process has never heard of: only the store knows that it
// shows the problem. Then the relay runs the lane without a sink.
func TestUnknownLaneIsAdopted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		db := memstore.New()
		sink := &recorder{}
		before := over(t, db)
		before.Handle("gone", sink, nil)
		stop := running(t, before)
		accept(t, before, event(t, "1", "p", "critical"))
		time.Sleep(time.Minute)
		stop()
		r := over(t, db)
		r.Handle("other", &recorder{}, &relay.SinkOptions{Match: relay.MatchLabel("none")})
		defer running(t, r)()
		time.Sleep(time.Minute)
		got := accept(t, r, event(t, "2", "p", "error"))[0]
		if got.Fate != "unrouted" || fmt.Sprint(got.Lanes) != "map[gone:sticky]" {
			t.Errorf("got %+v, want an event that only a lane without a sink gets", got)
		}
		time.Sleep(time.Minute)
		accept(t, r, event(t, "3", "p", "ok"))
		time.Sleep(time.Minute)
		if got := figuresOf(t, r, "gone"); got.State != relay.NoSink || got.Backlog != 1 ||
			got.Superseded != 1 {
			t.Errorf("figures %+v, want the recovery, which has superseded the change of level", got)
		}
	})
}

// Report 37: a lane that is renamed takes its backlog along, with what its target shows.
func TestReport37RenamedLane(t *testing.T) {
	for _, live := range []bool{false, true} {
		t.Run(fmt.Sprint("live=", live), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				db := memstore.New()
				sink := &recorder{}
				r := over(t, db)
				r.Handle("pd", sink, nil)
				stop := running(t, r)
				accept(t, r, event(t, "1", "shown", "critical"))
				time.Sleep(time.Minute)
				sink.set(down)
				accept(t, r, event(t, "2", "pending", "critical"), event(t, "3", "shown", "error"))
				time.Sleep(time.Minute)
				opts := &relay.SinkOptions{Formerly: "pd", Match: relay.AtLeast(guance.LevelCritical)}
				next := &recorder{}
				if live {
					if err := r.SetLane(t.Context(), "pagerduty", next, opts); err == nil ||
						!strings.Contains(err.Error(), `lane "pd" has a sink`) {
						t.Errorf("SetLane over a lane that has a sink: %v", err)
					}
					if err := r.RemoveLane(t.Context(), "pd"); err != nil {
						t.Fatal(err)
					}
					setLane(t, r, "pagerduty", next, opts)
				} else {
					stop()
					r = over(t, db)
					r.Handle("pagerduty", next, opts)
					stop = running(t, r)
				}
				time.Sleep(time.Minute)
				expect(t, next, "pending critical", "shown error")
				accept(t, r, event(t, "4", "shown", "ok"), event(t, "5", "pending", "ok"))
				time.Sleep(5 * time.Minute)
				if got := next.taken(); len(got) < 4 {
					t.Errorf("the new lane sent %q, want the two recoveries too", got)
				}
				if lanes := r.Stats().Lanes; len(lanes) != 1 {
					t.Errorf("lanes %+v, want one", lanes)
				}
				stop()

				// The old configuration, as in the middle of a rolling update, uses the same lane.
				r = over(t, db)
				late := &recorder{}
				r.Handle("pd", late, nil)
				stop = running(t, r)
				accept(t, r, event(t, "6", "again", "critical"))
				time.Sleep(time.Minute)
				expect(t, late, "again critical")
				stop()

				// Both names in one configuration would be two lanes that are one.
				r = over(t, db)
				r.Handle("pd", late, nil)
				r.Handle("pagerduty", late, nil)
				if err := r.Run(t.Context()); err == nil || !strings.Contains(err.Error(), "are one lane") {
					t.Errorf("Run with both names: %v", err)
				}
			})
		})
	}
}

// The earlier name of a lane is no name for another lane, also while Run runs.
func TestSetLaneWithAnEarlierName(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, _ := run(t, &recorder{}, nil)
		accept(t, r, event(t, "1", "p", "critical"))
		time.Sleep(time.Minute)
		if err := r.RemoveLane(t.Context(), "lane"); err != nil {
			t.Fatal(err)
		}
		sink := &recorder{}
		setLane(t, r, "new", sink, &relay.SinkOptions{Formerly: "lane"})
		err := r.SetLane(t.Context(), "lane", &recorder{}, nil)
		if err == nil || !strings.Contains(err.Error(), "are one lane") {
			t.Errorf("SetLane with the earlier name of a lane: %v", err)
		}
		accept(t, r, event(t, "2", "p", "ok"))
		time.Sleep(time.Minute)
		expect(t, sink, "p ok")
	})
}

// Two lanes that both had events do not become one. The lanes stay as they were.
func TestTakeOverOfUsedLane(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		db := memstore.New()
		sink := &recorder{}
		r := over(t, db)
		r.Handle("a", sink, nil)
		r.Handle("b", &recorder{}, nil)
		stop := running(t, r)
		accept(t, r, event(t, "1", "p", "critical"))
		time.Sleep(time.Minute)
		if err := r.RemoveLane(t.Context(), "b"); err != nil {
			t.Fatal(err)
		}
		formerly := &relay.SinkOptions{Formerly: "b"}
		if err := r.SetLane(t.Context(), "a", sink, formerly); !errors.Is(err, store.ErrInUse) {
			t.Errorf("SetLane: %v, want ErrInUse", err)
		}
		accept(t, r, event(t, "2", "p", "ok"))
		time.Sleep(time.Minute)
		expect(t, sink, "p critical", "p ok")
		if got := figuresOf(t, r, "b"); got.State != relay.NoSink {
			t.Errorf("lane b has the figures %+v", got)
		}
		stop()
		r = over(t, db)
		r.Handle("a", sink, formerly)
		if err := r.Run(t.Context()); !errors.Is(err, store.ErrInUse) {
			t.Errorf("Run: %v, want ErrInUse", err)
		}
	})
}

// SetLane returns as an error what Handle panics with. Nothing changes then.
func TestSetLaneRefuses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, _ := run(t, &recorder{}, &relay.SinkOptions{Fallback: true})
		for want, call := range map[string]func() error{
			"nil sink":          func() error { return r.SetLane(t.Context(), "x", nil, nil) },
			"invalid lane name": func() error { return r.SetLane(t.Context(), "a/b", &recorder{}, nil) },
			"in Formerly": func() error {
				return r.SetLane(t.Context(), "x", &recorder{}, &relay.SinkOptions{Formerly: "a/b"})
			},
			"is negative": func() error {
				return r.SetLane(t.Context(), "x", &recorder{}, &relay.SinkOptions{PerMinute: -1})
			},
			"are both the fallback": func() error {
				return r.SetLane(t.Context(), "x", &recorder{}, &relay.SinkOptions{Fallback: true})
			},
		} {
			if err := call(); err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("got %v, want %q", err, want)
			}
		}
		if lanes := r.Stats().Lanes; len(lanes) != 1 {
			t.Errorf("lanes %+v, want one", lanes)
		}
	})
}

// What is asked of a lane while it is replaced is done by the lane that follows.
func TestCallsWhileLanesChange(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		busy := &recorder{answer: func(ctx context.Context, d *relay.Delivery) error {
			if d.Problem == "dead" {
				return relay.Permanent(errDown)
			}
			time.Sleep(3 * time.Second)
			return nil
		}}
		r, _ := run(t, busy, nil)
		accept(t, r, event(t, "1", "dead", "critical"))
		time.Sleep(time.Minute)
		accept(t, r, event(t, "2", "slow", "critical"))
		time.Sleep(time.Second)
		var wg sync.WaitGroup
		next := &recorder{}
		wg.Go(func() { setLane(t, r, "lane", next, nil) })
		time.Sleep(time.Second) // the attempt in flight is not over
		if err := r.Replay(t.Context(), "lane", 1); err != nil {
			t.Errorf("Replay: %v", err)
		}
		wg.Wait()
		if _, err := r.Explain(t.Context(), "dead"); err != nil {
			t.Errorf("Explain: %v", err)
		}
		time.Sleep(time.Minute)
		expect(t, next, "dead critical")
	})
}

// After Run no lane changes.
func TestSetLaneAfterRun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := laneOver(t, memstore.New(), &recorder{})
		running(t, r)()
		if err := r.SetLane(t.Context(), "next", &recorder{}, nil); err == nil {
			t.Error("SetLane after Run: no error")
		}
	})
}

// A webhook that comes before Run finds the lane under its new name. Otherwise the lane would have
// events under both names, and could not become one.
func TestEventBeforeTakeOver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		db := memstore.New()
		r := over(t, db)
		r.Handle("old", &recorder{answer: down}, nil)
		stop := running(t, r)
		accept(t, r, event(t, "1", "p", "critical"))
		stop()

		r = over(t, db)
		sink := &recorder{}
		r.Handle("new", sink, &relay.SinkOptions{Formerly: "old"})
		accept(t, r, event(t, "2", "q", "critical"))
		stop = running(t, r)
		time.Sleep(time.Minute)
		stop()
		expect(t, sink, "p critical", "q critical")
	})
}

// SetLane waits for another change of the lanes no longer than its context.
func TestSetLaneGivesUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := over(t, memstore.New())
		slow := relay.SinkFunc(func(ctx context.Context, _ *relay.Delivery) error {
			<-ctx.Done()
			return ctx.Err()
		})
		r.Handle("lane", slow, nil)
		stop := running(t, r)
		accept(t, r, event(t, "1", "p", "critical"))
		time.Sleep(time.Second)
		first := make(chan error)
		go func() { first <- r.RemoveLane(t.Context(), "lane") }() // waits for the attempt
		synctest.Wait()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := r.SetLane(ctx, "other", slow, nil); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("SetLane: %v, want that its context has ended", err)
		}
		if err := <-first; err != nil {
			t.Error(err)
		}
		stop()
	})
}
