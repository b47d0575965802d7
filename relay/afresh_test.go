package relay_test

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/guance-relay/guance-relay/relay"
	"github.com/guance-relay/guance-relay/relay/store"
)

// A success resets the backoff: the next event of the problem waits as after a first failure.
func TestSuccessForgetsTheProblemsFailures(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const tries = 8 // the wait after so many failures is up to 30 s
		var failures int
		var failed time.Time
		var waits []time.Duration
		sink := &recorder{}
		sink.answer = func(_ context.Context, d *relay.Delivery) error {
			sink.mu.Lock()
			defer sink.mu.Unlock()
			if d.Event.Status == "fatal" && !failed.IsZero() {
				waits = append(waits, time.Since(failed))
				failed = time.Time{}
				return nil
			}
			if d.Event.Status == "fatal" {
				failed = time.Now()
				return errors.New("503")
			}
			if failures++; failures%(tries+1) != 0 {
				return errors.New("503")
			}
			return nil
		}
		r, _ := run(t, sink, &relay.SinkOptions{PerMinute: 6000})
		time.Sleep(time.Minute)
		for i := range 20 {
			problem := fmt.Sprint("p", i)
			accept(t, r, event(t, problem+" 1", problem, "error"))
			time.Sleep(time.Second) // it is on the wire, and the next waits behind it
			accept(t, r, event(t, problem+" 2", problem, "fatal"))
			time.Sleep(5 * time.Minute)
		}
		sink.mu.Lock()
		defer sink.mu.Unlock()
		if len(waits) != 20 {
			t.Fatalf("%d events behind one that failed were delivered, want 20", len(waits))
		}
		for _, wait := range waits {
			if wait > 1250*time.Millisecond {
				t.Errorf("the second try came %v after the first, want 1.25 s at most", wait)
			}
		}
	})
}

// A success ends the row of failures after which the target counts as down.
func TestSuccessEndsARowOfFailures(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var inFlight, most atomic.Int32
		sink := &recorder{answer: func(_ context.Context, d *relay.Delivery) error {
			if d.Event.Status == "error" {
				return errors.New("503")
			}
			if d.Event.Status == "fatal" {
				most.Store(max(most.Load(), inFlight.Add(1)))
				defer inFlight.Add(-1)
				time.Sleep(3 * time.Second)
			}
			return nil
		}}
		r, _ := run(t, sink, &relay.SinkOptions{PerMinute: 6000, MaxAttempts: 1})
		time.Sleep(time.Minute)
		for round := range 3 { // four failures of four problems, one too few, and a success
			for i := range 4 {
				problem := fmt.Sprint("bad ", round, i)
				accept(t, r, event(t, problem, problem, "error"))
				time.Sleep(10 * time.Millisecond)
			}
			good := fmt.Sprint("good ", round)
			accept(t, r, event(t, good, good, "critical"))
			time.Sleep(time.Minute)
		}
		for i := range 10 {
			problem := fmt.Sprint("many ", i)
			accept(t, r, event(t, problem, problem, "fatal"))
		}
		time.Sleep(time.Minute)
		if got := most.Load(); got != 10 {
			t.Errorf("%d of 10 attempts were in flight together, want all: the target is not down", got)
		}
	})
}

// Failures are counted for each entry. The next entry of the problem begins with none.
func TestNextEventHasAllItsAttempts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		attempts := make(map[uint64]int)
		sink := &recorder{}
		sink.answer = func(_ context.Context, d *relay.Delivery) error {
			sink.mu.Lock()
			defer sink.mu.Unlock()
			if d.Problem != "p" {
				return nil
			}
			if attempts[d.Seq]++; attempts[d.Seq] < 3 {
				return errors.New("503")
			}
			return nil
		}
		r, db := run(t, sink, &relay.SinkOptions{MaxAttempts: 3, PerMinute: 6000})
		time.Sleep(time.Minute)
		for i, status := range []string{"error", "fatal", "critical", "ok"} {
			accept(t, r, event(t, fmt.Sprint("p", i), "p", status))
			for j := range 60 { // others go through meanwhile, so that failures count
				problem := fmt.Sprint("other ", i, j)
				accept(t, r, event(t, problem, problem, "info"))
				time.Sleep(100 * time.Millisecond)
			}
			time.Sleep(time.Minute)
		}
		for _, m := range db.Settled("lane") {
			if m.Outcome == store.Dead {
				t.Errorf("entry %d died of two failures, three are allowed: %s", m.Seq, m.Reason)
			}
		}
	})
}

// An outage that begins after a success does not count against the next entry of the problem.
func TestOutageBehindASuccessKillsNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		sink := &recorder{answer: func(_ context.Context, d *relay.Delivery) error {
			if d.Event.Status == "error" {
				time.Sleep(5 * time.Second)
				return nil
			}
			if time.Since(start) < time.Hour {
				return errors.New("503")
			}
			return nil
		}}
		r, db := run(t, sink, &relay.SinkOptions{MaxAttempts: 1})
		accept(t, r, event(t, "1", "p", "error"))
		time.Sleep(2 * time.Second)
		accept(t, r, event(t, "2", "p", "fatal")) // it waits behind the first
		time.Sleep(2 * time.Hour)
		expect(t, sink, "p error", "p fatal")
		for _, m := range db.Settled("lane") {
			if m.Outcome != store.Delivered {
				t.Errorf("entry %d is %v: %s", m.Seq, m.Outcome, m.Reason)
			}
		}
	})
}
