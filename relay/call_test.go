package relay_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/guance-relay/guance-relay/relay"
	"github.com/guance-relay/guance-relay/relay/memstore"
	"github.com/guance-relay/guance-relay/relay/store"
)

// lagging is a store that makes outcomes durable, and returns to the lane when the test says so.
type lagging struct {
	*memstore.Store
	lag chan struct{} // what is durable is heard of once this is closed; nil: at once
	err error         // and then fails, if not nil
}

func newLagging() *lagging {
	s := &lagging{Store: memstore.New(), lag: make(chan struct{})}
	s.Intercept(func(c memstore.Call, do func() error) error {
		err := do()
		if c.Method == "Mark" && c.Marks[0].Outcome == store.Dead && s.lag != nil {
			<-s.lag
			err = errors.Join(err, s.err)
		}
		return err
	})
	return s
}

// between returns a relay in which the trigger of p is a dead letter, and the message to its loop
// is on its way. After mend, the sink succeeds.
func between(t *testing.T) (r *relay.Relay, db *lagging, sink *recorder, mend func(), stop func()) {
	t.Helper()
	db = newLagging()
	sink, mend = refuser()
	r = laneOver(t, db, sink)
	stop = running(t, r)
	accept(t, r, event(t, "1", "p", "critical"))
	time.Sleep(time.Minute)
	if dead := deadLetters(t, r); len(dead) != 1 {
		t.Fatalf("dead letters %+v, want the trigger", dead)
	}
	return r, db, sink, mend, stop
}

var errLate = errors.New("no answer within a minute")

// soon returns what a call returns, or errLate: a relay runs for ever, so a test must not wait for
// ever.
func soon(answer <-chan error) error {
	select {
	case err := <-answer:
		return err
	case <-time.After(time.Minute):
		return errLate
	}
}

// A dead letter that is visible can be replayed, also while the message to the loop is on its way.
func TestReport38ReplayInTheInstantOfDying(t *testing.T) {
	one := func(ctx context.Context, r *relay.Relay) error { return r.Replay(ctx, "lane", 1) }
	all := func(ctx context.Context, r *relay.Relay) error {
		switch replayed, stale, err := r.ReplayAll(ctx, "lane"); {
		case err != nil:
			return err
		case replayed != 1 || stale != 0:
			return errors.New("ReplayAll does not count one")
		}
		return nil
	}
	for name, tc := range map[string]struct {
		replay func(context.Context, *relay.Relay) error
		then   func(*testing.T, *relay.Relay) // before the lane hears of it
		want   error
		taken  []string
	}{
		"Replay":    {one, func(*testing.T, *relay.Relay) {}, nil, []string{"p critical"}},
		"ReplayAll": {all, func(*testing.T, *relay.Relay) {}, nil, []string{"p critical"}},
		"and it is dropped meanwhile": {one, func(t *testing.T, r *relay.Relay) {
			if err := r.Drop(t.Context(), "lane", 1); err != nil {
				t.Errorf("Drop: %v", err)
			}
		}, store.ErrNotFound, nil},
		"and its recovery comes meanwhile": {one, func(t *testing.T, r *relay.Relay) {
			accept(t, r, event(t, "2", "p", "ok"))
		}, relay.ErrStale, []string{"p ok"}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r, db, sink, mend, stop := between(t)
				defer stop()
				mend()
				answer := make(chan error, 1)
				go func() { answer <- tc.replay(t.Context(), r) }()
				synctest.Wait()
				select {
				case err := <-answer:
					t.Fatalf("answered %v although the lane cannot know yet", err)
				default:
				}
				tc.then(t, r)
				synctest.Wait()
				close(db.lag)
				if err := soon(answer); !errors.Is(err, tc.want) {
					t.Errorf("got %v, want %v", err, tc.want)
				}
				time.Sleep(time.Minute)
				expect(t, sink, tc.taken...)
			})
		})
	}
}

// Two operators replay a dead letter at once: one succeeds, the other gets ErrNotFound.
func TestReport38TwoOperators(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, db, sink, mend, stop := between(t)
		defer stop()
		mend()
		answers := make(chan error, 2)
		for range 2 {
			go func() { answers <- r.Replay(t.Context(), "lane", 1) }()
		}
		synctest.Wait()
		close(db.lag)
		first, second := soon(answers), soon(answers)
		if first != nil {
			first, second = second, first
		}
		if first != nil || !errors.Is(second, store.ErrNotFound) {
			t.Errorf("got %v and %v, want one replay and ErrNotFound", first, second)
		}
		time.Sleep(time.Minute)
		expect(t, sink, "p critical")
		if err := r.Drop(t.Context(), "lane", 1); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("Drop of what was replayed and delivered: %v, want ErrNotFound", err)
		}
	})
}

// Drop does not need the schedule. An entry that was replayed is no dead letter.
func TestReport38Drop(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, db, sink, mend, stop := between(t)
		defer stop()
		if err := r.Drop(t.Context(), "lane", 1); err != nil {
			t.Errorf("Drop in the instant of dying: %v", err)
		}
		close(db.lag)
		synctest.Wait()
		if err := r.Replay(t.Context(), "lane", 1); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("Replay of what was dropped: %v, want ErrNotFound", err)
		}

		accept(t, r, event(t, "2", "q", "critical"))
		time.Sleep(time.Minute) // it dies as well
		hold := make(chan struct{})
		sink.mu.Lock()
		inner := sink.answer
		sink.answer = func(ctx context.Context, d *relay.Delivery) error { <-hold; return inner(ctx, d) }
		sink.mu.Unlock()
		mend()
		if err := r.Replay(t.Context(), "lane", 2); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if err := r.Drop(t.Context(), "lane", 2); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("Drop of what is in flight: %v, want ErrNotFound", err)
		}
		close(hold)
		time.Sleep(time.Minute)
		expect(t, sink, "q critical")
	})
}

// A call ends when its context or the lane ends, and the function is not run later.
func TestReplayIsGivenUp(t *testing.T) {
	for name, tc := range map[string]struct {
		giveUp func(db *lagging, cancel, stop func())
		ends   string // the error of Run
	}{
		"the caller gives up": {func(_ *lagging, cancel, _ func()) { cancel() }, "<nil>"},
		"the relay stops": {func(_ *lagging, _, stop func()) {
			stop()
		}, "1 attempts did not return"}, // the disk is that slow
		"the store fails then": {func(s *lagging, _, _ func()) {
			s.err = store.ErrFailed
			close(s.lag)
		}, "the store has failed"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				db := newLagging()
				sink, mend := refuser()
				r := laneOver(t, db, sink)
				running, stop := context.WithCancel(context.Background())
				done := make(chan error, 1)
				go func() { done <- r.Run(running) }()
				accept(t, r, event(t, "1", "p", "critical"))
				time.Sleep(time.Minute)
				mend()
				ctx, cancel := context.WithCancel(t.Context())
				answer := make(chan error, 1)
				go func() { answer <- r.Replay(ctx, "lane", 1) }()
				synctest.Wait()
				tc.giveUp(db, cancel, stop)
				if err := soon(answer); err == nil || errors.Is(err, errLate) {
					t.Errorf("Replay answers %v, want an error of its own", err)
				}
				if db.err == nil {
					close(db.lag)
				}
				time.Sleep(time.Minute)
				stop()
				cancel()
				if err := <-done; !strings.Contains(fmt.Sprint(err), tc.ends) {
					t.Errorf("Run: %v, want %q", err, tc.ends)
				}
				expect(t, sink)
				if dead := deadLetters(t, r); len(dead) != 1 {
					t.Errorf("dead letters %+v, want it kept as one", dead)
				}
			})
		})
	}
}

func TestReport41UnknownLanes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		db := memstore.New()
		sink, _ := refuser()
		old := over(t, db)
		old.Handle("old", sink, nil)
		stop := running(t, old)
		accept(t, old, event(t, "1", "p", "critical"))
		time.Sleep(time.Minute)
		stop()

		r := over(t, db)
		r.Handle("pager", &recorder{}, nil)
		r.Handle("chat", &recorder{}, nil)
		defer running(t, r)()
		calls := map[string]func(lane string) error{
			"Replay":    func(lane string) error { return r.Replay(t.Context(), lane, 1) },
			"ReplayAll": func(lane string) error { _, _, err := r.ReplayAll(t.Context(), lane); return err },
		}
		dead := func(lane string) error { _, err := r.DeadLetters(t.Context(), lane, 0, 1); return err }
		for name, call := range calls {
			if err := call("old"); !errors.Is(err, relay.ErrNoLane) ||
				!contains(err, `"old"`, `["pager" "chat"]`, "kept", "Handle") {
				t.Errorf("%s in a lane that is gone and has a dead letter: %v", name, err)
			}
		}
		calls["DeadLetters"] = dead
		calls["Drop"] = func(lane string) error { return r.Drop(t.Context(), lane, 1) }
		for name, call := range calls {
			if err := call("pagr"); !errors.Is(err, relay.ErrNoLane) ||
				!contains(err, `"pagr"`, `["pager" "chat"]`) || contains(err, "kept") {
				t.Errorf("%s in a lane that never was: %v", name, err)
			}
		}
		if err := dead("chat"); err != nil {
			t.Errorf("DeadLetters of a lane that has none: %v", err)
		}
		for after, want := range map[uint64]int{0: 1, 1: 0} {
			if found, err := r.DeadLetters(t.Context(), "old", after, 10); err != nil || len(found) != want {
				t.Errorf("DeadLetters after %d of a lane that is gone: %+v, %v; want %d", after,
					found, err, want)
			}
		}
	})
}

// Explain returns an entry once while the message to the loop is on its way.
func TestExplainInTheInstantOfDying(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, db, _, _, stop := between(t)
		defer stop()
		defer close(db.lag)
		histories, err := r.Explain(t.Context(), "p")
		if err != nil || len(histories) != 1 || len(histories[0].Entries) != 1 ||
			histories[0].Entries[0].Outcome != store.Dead {
			t.Errorf("got %+v, %v; want one entry, the dead letter", histories, err)
		}
	})
}

// mute is a store that cannot read dead letters.
type mute struct{ store.Store }

func (mute) DeadLetters(context.Context, string, uint64, int) ([]store.Settlement, error) {
	return nil, fmt.Errorf("reading: %w", store.ErrDamaged)
}

// A call returns the error of the store, and is not repeated for ever.
func TestReplayOfWhatCannotBeRead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := laneOver(t, mute{memstore.New()}, &recorder{})
		defer running(t, r)()
		answer := make(chan error, 1)
		go func() { answer <- r.Replay(t.Context(), "lane", 1) }()
		if err := soon(answer); !errors.Is(err, store.ErrDamaged) {
			t.Errorf("Replay: %v, want ErrDamaged", err)
		}
	})
}
