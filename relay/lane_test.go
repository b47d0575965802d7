package relay_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
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

// Promise 7: a sink that is down delays no other lane.
func TestLanesAreApart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		good, all := &recorder{}, &recorder{}
		down := &recorder{answer: func(context.Context, *relay.Delivery) error {
			return errors.New("502")
		}}
		hung := &recorder{answer: func(ctx context.Context, _ *relay.Delivery) error {
			<-ctx.Done()
			return ctx.Err()
		}}
		r := over(t, memstore.New())
		only := func(problem string) func(*guance.Event) bool {
			return func(e *guance.Event) bool { return e.ProblemKey() == problem }
		}
		r.Handle("down", down, nil)
		r.Handle("hung", hung, nil)
		r.Handle("good", good, &relay.SinkOptions{Match: only("p")})
		r.Handle("all", relay.SinkFunc(all.Deliver), &relay.SinkOptions{EveryEvent: true})
		ctx, stop := context.WithCancel(t.Context())
		done := make(chan error)
		go func() { done <- r.Run(ctx) }()
		defer func() { stop(); <-done }()
		for i, status := range []string{"critical", "error", "ok"} {
			receipts := accept(t, r, event(t, fmt.Sprint("p", i), "p", status),
				event(t, fmt.Sprint("q", i), "q", status))
			if got := receipts[1].Lanes; len(got) != 3 || got["good"] != "" {
				t.Errorf("q went to %v, want the three lanes that want it", got)
			}
			time.Sleep(5 * time.Second)
		}
		expect(t, good, "p critical", "p error", "p ok")
		if got := all.taken(); len(got) != 6 {
			t.Errorf("the lane of every event took %v, want six", got)
		}
	})
}

// Promise 7: a target that is slow for some problems delays no other.
func TestSlowProblemsDelayNoOther(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sink := &recorder{answer: func(ctx context.Context, d *relay.Delivery) error {
			if strings.HasPrefix(d.Problem, "slow") {
				<-ctx.Done()
				return context.Cause(ctx)
			}
			return nil
		}}
		r, _ := run(t, sink, &relay.SinkOptions{MaxAttempts: 1000})
		for i := range 4 {
			accept(t, r, event(t, fmt.Sprint("s", i), fmt.Sprint("slow", i), "fatal"))
		}
		for i := range 200 {
			problem := fmt.Sprint("p", i)
			accept(t, r, event(t, problem, problem, "warning"))
			time.Sleep(3 * time.Second)
			if got := sink.taken(); len(got) != i+1 {
				t.Fatalf("%d of %d events are through after 3 s", len(got), i+1)
			}
		}
	})
}

// A panic is an error, its stack is logged once.
func TestPanic(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log lockedBuffer
		r, err := relay.New(memstore.New(), &relay.Options{Logger: slog.New(slog.NewTextHandler(&log,
			nil))})
		if err != nil {
			t.Fatal(err)
		}
		panics := 3
		r.Handle("lane", relay.SinkFunc(func(context.Context, *relay.Delivery) error {
			if panics--; panics >= 0 {
				panic("a bug in the sink")
			}
			return nil
		}), nil)
		stop := running(t, r)
		accept(t, r, event(t, "1", "p", "critical"))
		time.Sleep(5 * time.Minute)
		if s := r.Stats().Lanes[0]; s.Delivered != 1 || s.Failed != 3 {
			t.Errorf("got %+v, want three failures and a delivery", s)
		}
		stop()
		if n := strings.Count(log.String(), "lane_test.go"); n != 1 {
			t.Errorf("the stack is logged %d times, want once:\n%s", n, log.String())
		}
	})
}

type lockedBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}

// Promise 8: Run returns even if a sink does not.
func TestStopLeavesADeafSinkBehind(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		db := memstore.New()
		r, err := relay.New(db, &relay.Options{Logger: slog.New(slog.DiscardHandler),
			DrainTimeout: 2 * time.Second})
		if err != nil {
			t.Fatal(err)
		}
		release := make(chan struct{})
		r.Handle("deaf", relay.SinkFunc(func(context.Context, *relay.Delivery) error {
			<-release
			return nil
		}), nil)
		good := &recorder{}
		r.Handle("good", good, nil)
		ctx, stop := context.WithCancel(t.Context())
		done := make(chan error)
		go func() { done <- r.Run(ctx) }()
		accept(t, r, event(t, "1", "p", "critical"))
		time.Sleep(time.Minute)
		stop()
		start := time.Now()
		if err := <-done; err == nil || !strings.Contains(err.Error(), `"deaf"`) {
			t.Errorf("Run: %v, want an error that names the lane", err)
		}
		if took := time.Since(start); took > 3*time.Second {
			t.Errorf("the stop took %v, want the drain time of 2 s and a second", took)
		}
		expect(t, good, "p critical")
		if held, err := db.Holdings(t.Context()); err != nil || held["deaf"].Pending != 1 {
			t.Errorf("holdings %v, %v; want the event kept", held, err)
		}
		close(release) // the bubble fails if a goroutine is left after this
	})
}

// A lane that is gone from the configuration keeps its entries, and says so.
func TestOrphans(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		db := memstore.New()
		old, err := relay.New(db, nil)
		if err != nil {
			t.Fatal(err)
		}
		old.Handle("old", &recorder{}, nil)
		accept(t, old, event(t, "1", "p", "critical"))

		sink := &recorder{}
		r := over(t, db)
		r.Handle("new", sink, nil)
		stop := running(t, r)
		time.Sleep(time.Minute)
		if got := r.Stats().Lanes; len(got) != 2 || got[1].Name != "old" ||
			got[1].State != relay.NoSink || got[1].Backlog != 1 {
			t.Errorf("lanes %+v, want the entry of the old lane, which has no sink", got)
		}
		expect(t, sink)
		stop()
	})
}

// A trigger that was begun before a crash does not cancel with its recovery: the target may show
// it.
func TestCrashBetweenSendAndAnswer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		db := memstore.New()
		hang := &recorder{answer: func(ctx context.Context, _ *relay.Delivery) error {
			<-ctx.Done()
			return ctx.Err()
		}}
		good := &recorder{}
		for i, sink := range []*recorder{hang, good} {
			r, err := relay.New(db, &relay.Options{Logger: slog.New(slog.DiscardHandler),
				DrainTimeout: time.Millisecond})
			if err != nil {
				t.Fatal(err)
			}
			r.Handle("lane", sink, nil)
			ctx, stop := context.WithCancel(t.Context())
			if i == 1 {
				accept(t, r, event(t, "2", "p", "ok"))
			}
			done := make(chan error)
			go func() { done <- r.Run(ctx) }()
			if i == 0 {
				accept(t, r, event(t, "1", "p", "critical"))
			}
			time.Sleep(10 * time.Second)
			stop()
			if err := <-done; err != nil {
				t.Error(err)
			}
		}
		expect(t, good, "p critical", "p ok")
	})
}

// contains reports whether an error's text has all of the parts.
func contains(err error, parts ...string) bool {
	for _, part := range parts {
		if !strings.Contains(err.Error(), part) {
			return false
		}
	}
	return true
}

func TestReport41HandlePanicsOnMisuse(t *testing.T) {
	r, err := relay.New(memstore.New(), nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Handle("taken", &recorder{}, nil)
	nothing := func(relay.Sink) relay.Sink { return nil }
	var none *recorder
	for name, test := range map[string]struct {
		handle func()
		says   string
	}{
		"no name":       {func() { r.Handle("", &recorder{}, nil) }, `invalid lane name ""`},
		"slash":         {func() { r.Handle("a/b", &recorder{}, nil) }, `"a/b"`},
		"long name":     {func() { r.Handle(strings.Repeat("a", 65), &recorder{}, nil) }, "aaaa"},
		"no sink":       {func() { r.Handle("x", nil, nil) }, "nil sink for lane x"},
		"a nil pointer": {func() { r.Handle("x", none, nil) }, "nil sink for lane x"},
		"a middleware of none": {func() {
			r.Handle("x", &recorder{},
				&relay.SinkOptions{Middleware: nothing})
		}, `lane "x": SinkOptions.Middleware returned nil`},
		"a negative option": {func() {
			r.Handle("x", &recorder{}, &relay.SinkOptions{MaxAge: -1})
		}, "negative"},
		"taken": {func() { r.Handle("taken", &recorder{}, nil) }, "two lanes named taken"},
	} {
		func() {
			defer func() {
				if p := recover(); p == nil || !strings.Contains(fmt.Sprint(p), test.says) {
					t.Errorf("%s: recovered %v, want a panic with %q", name, p, test.says)
				}
			}()
			test.handle()
		}()
	}
	if n := len(r.Stats().Lanes); n != 1 {
		t.Errorf("there are %d lanes, want the good one alone", n)
	}
}

func TestReport41MisuseIsAnErrorThatNamesIt(t *testing.T) {
	var closed *memstore.Store // what an Open that failed returns
	for _, db := range []store.Store{nil, closed} {
		if _, err := relay.New(db, nil); err == nil || !contains(err, "New needs a Store") {
			t.Errorf("New(%#v): %v", db, err)
		}
	}
	if _, err := relay.New(memstore.New(), &relay.Options{DrainTimeout: -1}); err == nil ||
		!contains(err, "DrainTimeout", "negative") {
		t.Errorf("New with a negative DrainTimeout: %v", err)
	}
	if _, err := relay.NewHandler(nil, &relay.HandlerOptions{NoAuth: true}); err == nil ||
		!contains(err, "NewHandler needs a Relay") {
		t.Errorf("NewHandler(nil): %v", err)
	}
	db := memstore.New()
	r := laneOver(t, db, relay.SinkFunc(nil))
	if _, err := r.Accept(t.Context(), event(t, "1", "p", "critical"), nil); err == nil ||
		!contains(err, "event 2 of 2 is nil", "nothing was kept") {
		t.Errorf("Accept of a nil event: %v", err)
	}
	if held, err := db.Holdings(t.Context()); err != nil || len(held) != 0 {
		t.Errorf("the store holds %v, %v; want nothing", held, err)
	}
	if err := relay.SinkFunc(nil).Deliver(t.Context(), &relay.Delivery{Lane: "lane"}); err == nil ||
		!contains(err, `"lane"`, "nil SinkFunc") {
		t.Errorf("a nil SinkFunc delivers: %v", err)
	}
}

// failing returns a store that makes as many marks as good says, and then fails. If lost is true,
// it fails at the first Append.
func failing(good int, lost bool) *memstore.Store {
	s := memstore.New()
	s.Intercept(func(c memstore.Call, do func() error) error {
		if c.Method == "Mark" {
			good--
		}
		if c.Method == "Append" && lost || c.Method == "Mark" && good < 0 {
			return fmt.Errorf("sync: input/output error: %w", store.ErrFailed)
		}
		return do()
	})
	return s
}

// A store that fails ends Run with the reason. Nothing is sent that could not be marked before.
func TestStoreFailureEndsRun(t *testing.T) {
	for good := range 4 {
		synctest.Test(t, func(t *testing.T) {
			sink := &recorder{}
			r := over(t, failing(good, false))
			r.Handle("lane", sink, &relay.SinkOptions{Concurrency: 1})
			done := make(chan error)
			go func() { done <- r.Run(t.Context()) }()
			accept(t, r, event(t, "1", "p", "critical"))
			accept(t, r, event(t, "2", "q", "critical"))
			if err := <-done; !errors.Is(err, store.ErrFailed) {
				t.Errorf("Run: %v, want ErrFailed", err)
			}
			if got := sink.taken(); len(got) != (good+1)/2 {
				t.Errorf("with %d marks that succeed the sink took %v", good, got)
			}
			if err := r.Check(t.Context()); err == nil {
				t.Error("a relay whose store has failed is ready")
			}
		})
	}
}

// A store that fails in Append ends Run: idle lanes would not notice.
func TestStoreFailureOnAcceptEndsRun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := laneOver(t, failing(10, true), &recorder{})
		done := make(chan error)
		go func() { done <- r.Run(t.Context()) }()
		if _, err := r.Accept(t.Context(), event(t, "1", "p", "critical")); !errors.Is(err,
			store.ErrFailed) {
			t.Errorf("Accept: %v, want ErrFailed", err)
		}
		if err := <-done; !errors.Is(err, store.ErrFailed) {
			t.Errorf("Run: %v, want ErrFailed", err)
		}
	})
}

// A lane that cannot start ends Run with the reason.
func TestLaneThatCannotStart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		db := memstore.New()
		acquired := false
		db.Intercept(func(c memstore.Call, do func() error) error {
			if c.Method == "Holdings" && acquired {
				return errors.New("no holdings")
			}
			acquired = acquired || c.Method == "Acquire"
			return do()
		})
		r := laneOver(t, db, &recorder{})
		if err := r.Run(t.Context()); err == nil || !strings.Contains(err.Error(), "no holdings") {
			t.Errorf("Run: %v, want the store's error", err)
		}
	})
}

// A stored event that does not decode becomes a dead letter with the reason.
func TestStoredEventThatDoesNotDecode(t *testing.T) {
	for name, body := range map[string]string{"no JSON": `{`,
		"two events": `[{"df_title":"a"},{"df_title":"b"}]`, "none": `[]`} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				sink := &recorder{}
				r, db := run(t, sink, nil)
				e := &store.Event{Problem: "p", State: guance.StateProblem, Level: guance.LevelCritical,
					Accepted: time.Now(), Body: []byte(body), Wanted: []store.Offer{{Lane: "lane"}}}
				if err := db.Append(t.Context(), &store.Batch{Events: []*store.Event{e}}); err != nil {
					t.Fatal(err)
				}
				time.Sleep(time.Minute)
				dead := deadLetters(t, r)
				if len(dead) != 1 || !strings.HasPrefix(dead[0].Reason,
					"the stored event does not decode to one event") {
					t.Errorf("dead letters %+v, want the event and why", dead)
				}
				expect(t, sink)
			})
		})
	}
}

// A store that cannot say what it holds ends Run before anything is sent.
func TestRunReadsTheBacklogFirst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		db := memstore.New()
		r := over(t, db)
		db.Intercept(func(c memstore.Call, do func() error) error {
			if c.Method == "Holdings" {
				return errors.New("no holdings")
			}
			return do()
		})
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		if err := r.Run(ctx); err == nil || !contains(err, "reading the backlog", "no holdings") {
			t.Errorf("Run: %v, want the store's error", err)
		}
	})
}

// everyEvent is a sink that is to have each event.
type everyEvent struct{ *recorder }

func (everyEvent) EveryEvent() bool { return true }

// A sink that is to have each event has it, although a newer state of the problem waits.
func TestSinkThatHasEveryEvent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sink := everyEvent{&recorder{}}
		r := laneOver(t, memstore.New(), sink)
		accept(t, r, event(t, "1", "p", "critical"), event(t, "2", "p", "error"),
			event(t, "3", "p", "ok"))
		defer running(t, r)()
		time.Sleep(time.Minute)
		expect(t, sink.recorder, "p critical", "p error", "p ok")
	})
}
