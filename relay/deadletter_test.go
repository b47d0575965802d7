package relay_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/guance-relay/guance-relay/guance"
	"github.com/guance-relay/guance-relay/guance/guancetest"
	"github.com/guance-relay/guance-relay/relay"
	"github.com/guance-relay/guance-relay/relay/memstore"
	"github.com/guance-relay/guance-relay/relay/store"
)

// refuser is a sink that returns Permanent until the test changes it.
func refuser() (sink *recorder, mend func()) {
	refuse := true
	sink = &recorder{}
	sink.answer = func(_ context.Context, d *relay.Delivery) error {
		sink.mu.Lock()
		defer sink.mu.Unlock()
		if refuse && d.Problem != "good" {
			return relay.Permanent(errors.New("400 invalid event"))
		}
		return nil
	}
	return sink, func() { sink.mu.Lock(); refuse = false; sink.mu.Unlock() }
}

func deadLetters(t *testing.T, r *relay.Relay) []store.Settlement {
	t.Helper()
	dead, err := r.DeadLetters(t.Context(), "lane", 0, 100)
	if err != nil {
		t.Fatal(err)
	}
	return dead
}

// Promise 2: a dead letter has its reason and its body, and can be replayed and dropped.
func TestDeadLetters(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sink, mend := refuser()
		r, _ := run(t, sink, nil)
		accept(t, r, event(t, "1", "a", "critical"), event(t, "2", "b", "error"),
			event(t, "3", "good", "warning"))
		time.Sleep(time.Minute)
		dead := deadLetters(t, r)
		if len(dead) != 2 || dead[0].Problem != "a" || dead[0].Reason != "400 invalid event" ||
			len(dead[0].Body) == 0 || dead[0].Outcome != store.Dead {
			t.Fatalf("dead letters %+v, want a and b with reason and body", dead)
		}
		if page, err := r.DeadLetters(t.Context(), "lane", dead[0].Seq, 1); err != nil ||
			len(page) != 1 || page[0].Problem != "b" {
			t.Errorf("the page after a is %+v, %v; want b", page, err)
		}
		mend()
		if err := r.Replay(t.Context(), "lane", dead[0].Seq); err != nil {
			t.Fatal(err)
		}
		if err := r.Drop(t.Context(), "lane", dead[1].Seq); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Minute)
		expect(t, sink, "good warning", "a critical")
		if dead := deadLetters(t, r); len(dead) != 0 {
			t.Errorf("dead letters %+v, want none", dead)
		}
		for name, err := range map[string]error{
			"Replay of what is gone": r.Replay(t.Context(), "lane", dead[1].Seq),
			"Drop of what is gone":   r.Drop(t.Context(), "lane", dead[1].Seq),
			"Replay of nothing":      r.Replay(t.Context(), "lane", 0),
		} {
			if !errors.Is(err, store.ErrNotFound) {
				t.Errorf("%s: %v, want ErrNotFound", name, err)
			}
		}
		if err := r.Replay(t.Context(), "no such lane", 1); err == nil {
			t.Error("a lane that does not exist replays")
		}
	})
}

// Promise 3: a dead letter is not sent after a newer event of its problem.
func TestReplayIsNeverStale(t *testing.T) {
	tests := map[string]struct {
		then string // what is said after the trigger died
		mend bool   // before that
	}{
		"the recovery was delivered":     {"ok", true},
		"the recovery died too":          {"ok", false},
		"a newer trigger was delivered":  {"critical", true},
		"a newer trigger died as well":   {"fatal", false},
		"something newer was superseded": {"", true},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				sink, mend := refuser()
				r, _ := run(t, sink, nil)
				accept(t, r, event(t, "1", "p", "critical"))
				time.Sleep(time.Minute)
				if test.mend {
					mend()
				}
				if test.then != "" {
					accept(t, r, event(t, "2", "p", test.then))
				} else {
					accept(t, r, event(t, "2", "p", "error"), event(t, "3", "p", "ok"))
				}
				time.Sleep(time.Minute)
				mend()
				if err := r.Replay(t.Context(), "lane", 1); !errors.Is(err, relay.ErrStale) {
					t.Errorf("Replay: %v, want ErrStale", err)
				}
				replayed, stale, err := r.ReplayAll(t.Context(), "lane")
				if err != nil || stale != 1 || replayed != map[bool]int{true: 0, false: 1}[test.mend] {
					t.Errorf("ReplayAll: %d replayed, %d stale, %v; want one of each", replayed, stale, err)
				}
				time.Sleep(time.Minute)
				for _, got := range sink.taken() {
					if got == "p critical" && test.then != "critical" {
						t.Errorf("the sink took %v: a stale state after a newer one", sink.taken())
					}
				}
			})
		})
	}
}

// Promise 3: a dead letter is not sent behind a newer event that still waits.
func TestReplayWhileANewerEventWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sink, mend := refuser()
		r, _ := run(t, sink, &relay.SinkOptions{PerMinute: 1})
		accept(t, r, event(t, "1", "p", "critical"))
		time.Sleep(70 * time.Second)
		if dead := deadLetters(t, r); len(dead) != 1 {
			t.Fatalf("dead letters %+v, want the trigger", dead)
		}
		mend()
		accept(t, r, event(t, "2", "p", "error"))
		time.Sleep(time.Second)
		expect(t, sink) // the budget has no request left for it
		if err := r.Replay(t.Context(), "lane", 1); !errors.Is(err, relay.ErrStale) {
			t.Errorf("Replay: %v, want ErrStale", err)
		}
		time.Sleep(5 * time.Minute)
		expect(t, sink, "p error")
	})
}

// An event that is too old becomes a dead letter with a reason. A replay makes it young again.
func TestMaxAge(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sink := &recorder{answer: down}
		r, db := run(t, sink, &relay.SinkOptions{PerMinute: 1, MaxAge: 2 * time.Hour})
		for _, p := range []string{"a", "b", "c", "d"} {
			accept(t, r, event(t, p, p, "critical"))
		}
		time.Sleep(time.Hour)
		accept(t, r, event(t, "young", "young", "critical"))
		time.Sleep(time.Hour + time.Minute)
		dead := deadLetters(t, r)
		if len(dead) != 4 || dead[0].Reason != "not delivered within 2h0m0s" {
			t.Fatalf("dead letters %+v, want the four old ones with the reason", dead)
		}
		if held, err := db.Holdings(t.Context()); err != nil ||
			held["lane"] != (store.Holdings{Pending: 1, Dead: 4}) {
			t.Errorf("holdings %+v, %v; want the young one pending", held, err)
		}
		sink.set(nil)
		if n, stale, err := r.ReplayAll(t.Context(), "lane"); n != 4 || stale != 0 || err != nil {
			t.Errorf("ReplayAll: %d, %d stale, %v; want 4", n, stale, err)
		}
		time.Sleep(10 * time.Minute)
		if got := sink.taken(); len(got) != 5 {
			t.Errorf("the sink took %v, want all five", got)
		}
	})
}

// What the store answers while a dead letter is replayed or dropped reaches the caller.
func TestReplayReturnsErrorsOfTheStore(t *testing.T) {
	for _, method := range []string{"DeadLetters", "Records", "Revive", "Drop"} {
		t.Run(method, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				sink, _ := refuser()
				r, db := run(t, sink, nil)
				accept(t, r, event(t, "1", "p", "critical"))
				time.Sleep(time.Minute)
				seq := deadLetters(t, r)[0].Seq
				db.Intercept(func(c memstore.Call, do func() error) error {
					if c.Method == method {
						return fmt.Errorf("connection reset: %w", store.ErrUnavailable)
					}
					return do()
				})
				call := r.Replay
				if method == "Drop" {
					call = r.Drop
				}
				err := call(t.Context(), "lane", seq)
				if !errors.Is(err, store.ErrUnavailable) {
					t.Errorf("got %v, want the error of %s", err, method)
				}
			})
		})
	}
}

// An event that was overtaken on its way, and died because the lane was full, is not replayed after
// the newer one.
func TestReplayOfLateEvent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		db := memstore.New()
		db.LimitLane(1)
		r := over(t, db)
		sink := &recorder{}
		r.Handle("lane", sink, nil)
		problem := guancetest.NewProblem("a monitor")
		problem.Fault(guance.LevelError)
		recovery, fault := problem.Recover(), problem.Fault(guance.LevelCritical)
		accept(t, r, fault)
		if got := accept(t, r, recovery)[0].Lanes["lane"]; got != "dead" {
			t.Fatalf("the second event is %s, want dead", got)
		}
		defer running(t, r)()
		time.Sleep(time.Minute)
		if err := r.Replay(t.Context(), "lane", 2); !errors.Is(err, relay.ErrStale) {
			t.Errorf("Replay: %v, want ErrStale", err)
		}
		time.Sleep(time.Minute)
		if got := sink.taken(); len(got) != 1 {
			t.Errorf("sent %q, want the newest state alone", got)
		}
	})
}

// A dead letter may be replayed while the store reads the backlog, which then holds it too. It is
// sent once.
func TestReplayWhileTheBacklogIsRead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		db := memstore.New()
		refuses := true
		sink := &recorder{answer: func(context.Context, *relay.Delivery) error {
			if refuses {
				return relay.Permanent(errDown)
			}
			return nil
		}}
		before := laneOver(t, db, sink)
		stop := running(t, before)
		accept(t, before, event(t, "1", "p", "critical"))
		time.Sleep(time.Minute)
		stop()
		refuses = false
		db.Intercept(func(c memstore.Call, do func() error) error {
			if c.Method != "Read" {
				return do()
			}
			time.Sleep(2 * time.Second) // the dead letter is replayed in this time
			err := do()
			time.Sleep(30 * time.Second) // and delivered in this time
			return err
		})
		r := laneOver(t, db, sink)
		defer running(t, r)()
		accept(t, r, event(t, "2", "q", "critical")) // something to wait for
		time.Sleep(time.Second)
		if err := r.Replay(t.Context(), "lane", 1); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Minute)
		got := sink.taken()
		slices.Sort(got) // they are sent at once
		if want := []string{"p critical", "q critical"}; !slices.Equal(got, want) {
			t.Errorf("the sink took %q, want %q", got, want)
		}
	})
}

// An event that found the lane full is newer than what is pending. It is not replayed before the
// lane has read that.
func TestReplayWaitsForTheBacklog(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		db := memstore.New()
		db.LimitLane(1)
		stop := running(t, laneOver(t, db, &recorder{answer: down}))
		before := laneOver(t, db, &recorder{})
		accept(t, before, event(t, "1", "p", "critical"))
		time.Sleep(time.Minute)
		accept(t, before, event(t, "2", "p", "fatal"))
		stop()
		db.Intercept(func(c memstore.Call, do func() error) error {
			if c.Method == "Read" {
				time.Sleep(2 * time.Second)
			}
			return do()
		})
		sink := &recorder{}
		r := laneOver(t, db, sink)
		defer running(t, r)()
		time.Sleep(time.Second)
		if err := r.Replay(t.Context(), "lane", 2); !errors.Is(err, relay.ErrStale) {
			t.Errorf("Replay: %v, want ErrStale", err)
		}
		time.Sleep(time.Minute)
		expect(t, sink, "p critical")
	})
}
