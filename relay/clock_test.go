package relay_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/guance-relay/guance-relay/relay"
	"github.com/guance-relay/guance-relay/relay/memstore"
	"github.com/guance-relay/guance-relay/relay/store"
)

// wallClock is a wall clock that a test can set.
type wallClock struct {
	mu  sync.Mutex
	off time.Duration
}

func (c *wallClock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return time.Now().Add(c.off)
}

func (c *wallClock) set(off time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.off = off
}

const year = 365 * 24 * time.Hour

var steps = []time.Duration{-3 * time.Second, 3 * time.Second, -8 * time.Hour, 8 * time.Hour,
	-4 * 24 * time.Hour, 96 * time.Hour, -20 * year, 30 * year}

// The wall clock is set while an entry backs off, while a lane is paused, and while the budget is
// empty.
func TestReport06StepWhileSomethingWaits(t *testing.T) {
	waits := map[string]struct {
		answers []error
		within  time.Duration
	}{
		"a backoff": {[]error{errors.New("502"), errors.New("502"), errors.New("502"), errors.New("502"),
			errors.New("502"), errors.New("502")}, 35 * time.Second},
		"a pause":  {[]error{relay.RetryAfter(errors.New("429"), 20*time.Second)}, 45 * time.Second},
		"a budget": {nil, 35 * time.Second},
	}
	for name, wait := range waits {
		for _, step := range steps {
			t.Run(fmt.Sprint(name, ", ", step), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					var clock wallClock
					var log lockedBuffer
					var asked atomic.Int32
					sink := &recorder{answer: func(context.Context, *relay.Delivery) error {
						if n := int(asked.Add(1)); n <= len(wait.answers) {
							return wait.answers[n-1]
						}
						return nil
					}}
					meters, counted := countOf("relay.clock.steps", "")
					r, err := relay.New(memstore.New(), &relay.Options{Logger: slog.New(slog.NewTextHandler(&log,
						nil)), Now: clock.now, MeterProvider: meters})
					if err != nil {
						t.Fatal(err)
					}
					r.Handle("lane", sink, &relay.SinkOptions{PerMinute: 6})
					defer running(t, r)()
					accept(t, r, event(t, "1", "p", "critical"))
					time.Sleep(11 * time.Second) // the first request is allowed after 10 s
					for len(wait.answers) > 1 && int(asked.Load()) < len(wait.answers) {
						time.Sleep(time.Second)
					}
					clock.set(step)
					accepted := time.Now()
					accept(t, r, event(t, "2", "q", "critical"))
					s := r.Stats().Lanes[0]
					if age := clock.now().Sub(s.Oldest); s.Backlog > 0 && (age < 0 || age > 3*time.Minute) {
						t.Errorf("the oldest entry is %v old, want the minutes that it waits", age)
					}
					if until := s.Until.Sub(clock.now()); !s.Until.IsZero() &&
						(until < -time.Second || until > wait.within) {
						t.Errorf("the state %v lasts for %v more", s.State, until)
					}
					for len(sink.taken()) < 2 && time.Since(accepted) < 24*time.Hour {
						time.Sleep(time.Second)
					}
					if took := time.Since(accepted); took > wait.within {
						t.Errorf("both are delivered after %v, want %v", took, wait.within)
					}
					time.Sleep(time.Minute)
					if n := strings.Count(log.String(), "the wall clock was set"); n != 1 || counted.n != 1 ||
						!strings.Contains(log.String(), "by="+step.String()) {
						t.Errorf("the log says %d times that the clock was set by %v, want once:\n%s", n, step,
							log.String())
					}
				})
			})
		}
	}
}

// A machine boots with a wrong date, or has one for some seconds in an outage.
func TestReport07WrongDateExpiresNothing(t *testing.T) {
	for _, off := range steps {
		for _, restarts := range []bool{false, true} {
			t.Run(fmt.Sprint(off, ", restart ", restarts), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					var clock wallClock
					clock.set(off)
					db := memstore.New()
					var well atomic.Bool
					sink := &recorder{answer: func(context.Context, *relay.Delivery) error {
						if !well.Load() {
							return errors.New("x509: certificate is not yet valid")
						}
						return nil
					}}
					start := func() (*relay.Relay, func()) {
						r, err := relay.New(db, &relay.Options{Logger: slog.New(slog.DiscardHandler), Now: clock.now})
						if err != nil {
							t.Fatal(err)
						}
						r.Handle("lane", sink, nil)
						return r, running(t, r)
					}
					r, stop := start()
					accept(t, r, event(t, "1", "p", "critical"))
					time.Sleep(3 * time.Second)
					clock.set(0)
					time.Sleep(time.Minute)
					if restarts {
						stop()
						db = db.Restart()
						clock.set(off)
						r, stop = start()
						time.Sleep(3 * time.Second)
						clock.set(0)
					}
					well.Store(true)
					time.Sleep(31 * time.Second)
					expect(t, sink, "p critical")
					if s := r.Stats().Lanes[0]; s.Dead != 0 || s.Backlog != 0 {
						t.Errorf("%+v, want the alert delivered", s)
					}
					stop()
				})
			})
		}
	}
}

// An entry that is too old dies, whatever the date is. Its outcome has the wall time of that
// moment.
func TestAgeIsTheStoresTime(t *testing.T) {
	for _, step := range steps {
		synctest.Test(t, func(t *testing.T) {
			var clock wallClock
			db := memstore.New()
			r, err := relay.New(db, &relay.Options{Logger: slog.New(slog.DiscardHandler), Now: clock.now})
			if err != nil {
				t.Fatal(err)
			}
			r.Handle("lane", &recorder{answer: func(context.Context, *relay.Delivery) error {
				return errors.New("502")
			}}, &relay.SinkOptions{MaxAge: time.Hour})
			defer running(t, r)()
			accept(t, r, event(t, "1", "p", "critical"))
			time.Sleep(30 * time.Minute)
			clock.set(step)
			time.Sleep(29 * time.Minute)
			if got := db.Settled("lane"); len(got) != 0 {
				t.Fatalf("the clock was set by %v, and after 59 minutes the entry is %+v", step, got)
			}
			time.Sleep(2 * time.Minute)
			got := db.Settled("lane")
			if len(got) != 1 || got[0].Outcome != store.Dead {
				t.Fatalf("the clock was set by %v, and after 61 minutes: %+v, want it dead", step, got)
			}
			if late := clock.now().Sub(got[0].At); late < 0 || late > time.Minute {
				t.Errorf("it died at %v, and it is %v", got[0].At, clock.now())
			}
		})
	}
}
