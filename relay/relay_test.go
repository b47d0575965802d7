package relay_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
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

// recorder is a sink that keeps what it was given and answers as the test says.
type recorder struct {
	mu     sync.Mutex
	got    []string    // "problem status", in order
	at     []time.Time // when the attempts ended
	answer func(ctx context.Context, d *relay.Delivery) error
}

func (r *recorder) Deliver(ctx context.Context, d *relay.Delivery) error {
	var err error
	r.mu.Lock()
	answer := r.answer
	r.mu.Unlock()
	if answer != nil {
		err = answer(ctx, d)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.at = append(r.at, time.Now())
	if err == nil {
		r.got = append(r.got, d.Problem+" "+string(d.Event.Status))
	}
	return err
}

// set changes the answer while deliveries go on.
func (r *recorder) set(answer func(ctx context.Context, d *relay.Delivery) error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.answer = answer
}

var errDown = errors.New("the target is down")

func down(context.Context, *relay.Delivery) error { return errDown }

func event(t *testing.T, id, problem, status string) *guance.Event {
	t.Helper()
	events, err := guance.Decode(fmt.Appendf(nil,
		`{"df_event_id":%q,"df_monitor_checker_event_ref":%q,"df_status":%q,"df_title":"t"}`, id, problem,
		status), "application/json")
	if err != nil || len(events) != 1 {
		t.Fatalf("Decode: %d events, %v", len(events), err)
	}
	return events[0]
}

// run starts a relay with one lane over a memory store, in a bubble.
func run(t *testing.T, sink relay.Sink, opts *relay.SinkOptions) (r *relay.Relay,
	db *memstore.Store) {
	t.Helper()
	db = memstore.New()
	r, err := relay.New(db, &relay.Options{Logger: slog.New(slog.NewTextHandler(t.Output(), nil))})
	if err != nil {
		t.Fatal(err)
	}
	r.Handle("lane", sink, opts)
	t.Cleanup(running(t, r))
	return r, db
}

// over returns a relay over a store, without a log.
func over(t *testing.T, db store.Store) *relay.Relay {
	t.Helper()
	r, err := relay.New(db, &relay.Options{Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// laneOver returns a relay with one lane over a store.
func laneOver(t *testing.T, db store.Store, sink relay.Sink) *relay.Relay {
	t.Helper()
	r := over(t, db)
	r.Handle("lane", sink, nil)
	return r
}

// running has a relay run, until stop is called: then Run must end without an error.
func running(t *testing.T, r *relay.Relay) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error)
	go func() { done <- r.Run(ctx) }()
	return func() {
		t.Helper()
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Run: %v", err)
		}
	}
}

func accept(t *testing.T, r *relay.Relay, events ...*guance.Event) []relay.Receipt {
	t.Helper()
	receipts, err := r.Accept(t.Context(), events...)
	if err != nil {
		t.Fatal(err)
	}
	return receipts
}

// taken returns what the sink took so far.
func (r *recorder) taken() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.got)
}

// times returns when the attempts so far ended.
func (r *recorder) times() []time.Time {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.at)
}

func expect(t *testing.T, sink *recorder, want ...string) {
	t.Helper()
	if got := strings.Join(sink.taken(), ", "); got != strings.Join(want, ", ") {
		t.Errorf("the sink took %s, want %s", got, strings.Join(want, ", "))
	}
}

func TestDeliversInOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sink := &recorder{}
		r, db := run(t, sink, nil)
		accept(t, r, event(t, "1", "p", "critical"))
		time.Sleep(time.Minute)
		accept(t, r, event(t, "2", "p", "ok"))
		if got := accept(t, r, event(t, "2", "p", "ok"))[0].Fate; got != "duplicate" {
			t.Errorf("the same webhook again is %q, want duplicate", got)
		}
		time.Sleep(time.Minute)
		expect(t, sink, "p critical", "p ok")
		if got := db.Settled("lane"); len(got) != 2 || got[0].Outcome != store.Delivered ||
			got[1].Outcome != store.Delivered {
			t.Errorf("outcomes %v, want two delivered", got)
		}
	})
}

// Promises 2 and 4: forty minutes of failure lose nothing, and the end is what Guance last said.
func TestOutage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sink := &recorder{answer: down}
		r, db := run(t, sink, nil)
		accept(t, r, event(t, "1", "stays", "critical"))
		time.Sleep(20 * time.Second)
		for i := range 30 {
			accept(t, r, event(t, fmt.Sprint("f", i), fmt.Sprint("flap", i), "error"),
				event(t, fmt.Sprint("r", i), fmt.Sprint("flap", i), "ok"))
		}
		time.Sleep(40 * time.Minute)
		sink.set(nil)
		if n := len(sink.times()); n > 40*60/5 {
			t.Errorf("%d attempts at a target that is down", n)
		}
		time.Sleep(3 * time.Minute)
		expect(t, sink, "stays critical")
		if got := db.Settled("lane"); len(got) != 61 {
			t.Errorf("%d outcomes, want 61", len(got))
		}
	})
}

// Promise 5: two hours of throttling kill nothing.
func TestThrottled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		sink := &recorder{answer: func(context.Context, *relay.Delivery) error {
			if time.Since(start) < 2*time.Hour {
				return relay.RetryAfter(errors.New("429"), 0)
			}
			return nil
		}}
		r, _ := run(t, sink, &relay.SinkOptions{MaxAttempts: 3})
		accept(t, r, event(t, "1", "p", "critical"))
		time.Sleep(2*time.Hour + 5*time.Minute)
		expect(t, sink, "p critical")
		if n := len(sink.times()); n > 40 {
			t.Errorf("%d requests within two hours of 429, want few", n)
		}
	})
}

// Promise 7: a poison event delays no other problem, and ends as a dead letter.
func TestPoison(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sink := &recorder{answer: func(_ context.Context, d *relay.Delivery) error {
			if d.Problem == "poison" {
				panic("a bug")
			}
			return nil
		}}
		r, db := run(t, sink, &relay.SinkOptions{MaxAttempts: 4})
		accept(t, r, event(t, "0", "poison", "fatal"))
		var want []string
		for i := range 60 {
			accept(t, r, event(t, fmt.Sprint(i+1), fmt.Sprint("p", i), "error"))
			want = append(want, fmt.Sprintf("p%d error", i))
			time.Sleep(10 * time.Second)
		}
		expect(t, sink, want...)
		var dead int
		for _, m := range db.Settled("lane") {
			if m.Outcome == store.Dead {
				dead++
			}
		}
		if dead != 1 {
			t.Errorf("%d dead letters, want the poison alone", dead)
		}
	})
}

// Promise 8: what was handed back at the stop is sent later, once.
func TestStop(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		db := memstore.New()
		hang := &recorder{answer: func(ctx context.Context, _ *relay.Delivery) error {
			<-ctx.Done()
			return ctx.Err()
		}}
		good := &recorder{}
		for _, sink := range []*recorder{hang, good} {
			r := laneOver(t, db, sink)
			ctx, stop := context.WithCancel(t.Context())
			done := make(chan error)
			go func() { done <- r.Run(ctx) }()
			accept(t, r, event(t, "1", "p", "critical"))
			time.Sleep(10 * time.Second)
			stop()
			start := time.Now()
			if err := <-done; err != nil {
				t.Errorf("Run: %v", err)
			}
			if d := time.Since(start); d > 5*time.Second {
				t.Errorf("Run took %v to stop, want the drain time of 5 s at most", d)
			}
			if _, err := r.Accept(t.Context(), event(t, "2", "p", "critical")); !errors.Is(err,
				store.ErrClosed) {
				t.Errorf("Accept after the stop: %v, want ErrClosed", err)
			}
		}
		expect(t, good, "p critical")
	})
}
