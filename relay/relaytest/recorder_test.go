package relaytest_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"testing"
	"testing/synctest"
	"time"

	"github.com/guance-relay/guance-relay/guance"
	"github.com/guance-relay/guance-relay/pagerduty"
	"github.com/guance-relay/guance-relay/relay"
	"github.com/guance-relay/guance-relay/relay/memstore"
	"github.com/guance-relay/guance-relay/relay/pagerdutysink"
	"github.com/guance-relay/guance-relay/relay/relaytest"
	"github.com/guance-relay/guance-relay/relay/store"
)

func event(t testing.TB, id, problem, status string) *guance.Event {
	t.Helper()
	events,
		err := guance.Decode(fmt.Appendf(nil,
		`{"df_event_id":%q,"df_monitor_checker_event_ref":%q,"df_status":%q,"df_title":"t"}`,
		id, problem, status), "application/json")
	if err != nil || len(events) != 1 {
		t.Fatalf("Decode: %d events, %v", len(events), err)
	}
	return events[0]
}

// run starts a relay with one lane, in a bubble, and returns a function that stops it.
func run(
	t testing.TB, db store.Store, sink relay.Sink, opts *relay.SinkOptions,
) (r *relay.Relay, stop func()) {
	t.Helper()
	r, err := relay.New(db, &relay.Options{Logger: slog.New(slog.NewTextHandler(t.Output(), nil))})
	if err != nil {
		t.Fatal(err)
	}
	r.Handle("lane", sink, opts)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error)
	go func() { done <- r.Run(ctx) }()
	return r, func() {
		t.Helper()
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Run: %v", err)
		}
	}
}

func delivery(t testing.TB, seq uint64, problem, status string) *relay.Delivery {
	return &relay.Delivery{Event: event(t, fmt.Sprint("e", seq), problem, status), Problem: problem,
		Seq: seq, Attempt: 1}
}

func TestScripts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		bad := errors.New("502")
		for _, tc := range []struct {
			name string
			sink relay.Sink
			want []relaytest.Answer // of deliveries of problem a
			took time.Duration      // for each
		}{
			{"takes", relaytest.Takes(), []relaytest.Answer{relaytest.Taken, relaytest.Taken}, 0},
			{"fails", relaytest.Fails(bad), []relaytest.Answer{relaytest.Unknown}, 0},
			{"refuses", relaytest.Refuses("no"), []relaytest.Answer{relaytest.Refused}, 0},
			{"throttles", relaytest.Throttles(time.Second), []relaytest.Answer{relaytest.Throttled},
				0},
			{"throttles for a time of its own", relaytest.Throttles(0),
				[]relaytest.Answer{relaytest.Throttled}, 0},
			{"ignores", relaytest.Ignores("info"), []relaytest.Answer{relaytest.Unsent}, 0},
			{"ignores, joined and wrapped", relaytest.Fails(fmt.Errorf("sink: %w",
				errors.Join(bad, relay.Ignore("info")))), []relaytest.Answer{relaytest.Unsent}, 0},
			{"hangs", relaytest.Hangs(), []relaytest.Answer{relaytest.Unknown}, time.Minute},
			{"slow", relaytest.Slow(time.Second, relaytest.Refuses("no")),
				[]relaytest.Answer{relaytest.Refused}, time.Second},
			{"too slow", relaytest.Slow(time.Hour, relaytest.Takes()),
				[]relaytest.Answer{relaytest.Unknown}, time.Minute},
			{"times", relaytest.Times(2, relaytest.Fails(bad), relaytest.Takes()),
				[]relaytest.Answer{relaytest.Unknown, relaytest.Unknown, relaytest.Taken,
					relaytest.Taken}, 0},
			{"by problem", relaytest.ByProblem(map[string]relay.Sink{"a": relaytest.Refuses("no")},
				relaytest.Takes()), []relaytest.Answer{relaytest.Refused}, 0},
			{"by another problem",
				relaytest.ByProblem(map[string]relay.Sink{"b": relaytest.Refuses("no")},
					relaytest.Takes()), []relaytest.Answer{relaytest.Taken}, 0},
		} {
			rec := relaytest.Record(tc.sink)
			for i, want := range tc.want {
				ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
				err := rec.Deliver(ctx, delivery(t, uint64(i+1), "a", "critical"))
				cancel()
				a := rec.Attempts()[i]
				if a.Answer != want || !errors.Is(a.Err, err) || a.End.Sub(a.Start) != tc.took {
					t.Errorf("%s: attempt %d is %v after %v with error %v, want %v after %v",
						tc.name, i+1, a.Answer, a.End.Sub(a.Start), a.Err, want, tc.took)
				}
			}
		}
	})
}

func TestEachProblemHasItsOwnScript(t *testing.T) {
	rec := relaytest.Record(relaytest.EachProblem(func(string) relay.Sink {
		return relaytest.Times(1, relaytest.Fails(errors.New("502")), relaytest.Takes())
	}))
	for i, problem := range []string{"a", "a", "b", "b", "a"} {
		_ = rec.Deliver(t.Context(), delivery(t, uint64(i+1), problem, "critical"))
	}
	var got []relaytest.Answer
	for _, a := range rec.Attempts() {
		got = append(got, a.Answer)
	}
	if fmt.Sprint(got) != "[unknown taken unknown taken taken]" {
		t.Errorf("answers %v", got)
	}
	if len(rec.Of("b")) != 2 || len(rec.Taken()) != 3 {
		t.Errorf("%d attempts of b and %d taken, want 2 and 3", len(rec.Of("b")), len(rec.Taken()))
	}
}

func TestRecorderKeepsAPanic(t *testing.T) {
	rec := relaytest.Record(relaytest.Panics("boom"))
	func() {
		defer func() {
			if p := recover(); p != "boom" {
				t.Errorf("recovered %v, want the sink's own panic", p)
			}
		}()
		_ = rec.Deliver(t.Context(), delivery(t, 1, "a", "ok"))
	}()
	a := rec.Attempts()[0]
	if a.Answer != relaytest.Unknown || a.End.IsZero() || a.State != guance.StateRecovered ||
		a.Seq != 1 || a.ID != "e1/ok//a" {
		t.Errorf("recorded %+v", a)
	}
}

// The recorder in a lane with retries and concurrency, whose target recovers.
func TestRecorderInALane(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		rec := relaytest.Record(relaytest.Slow(10*time.Second, relaytest.Fails(errors.New("502"))))
		r, stop := run(t, memstore.New(), rec, &relay.SinkOptions{Concurrency: 3})
		defer stop()
		for i := range 5 {
			if _, err := r.Accept(t.Context(), event(t, fmt.Sprint(i), fmt.Sprint("p", i),
				"critical")); err != nil {
				t.Fatal(err)
			}
		}
		if err := rec.Wait(t.Context(),
			func(a []relaytest.Attempt) bool { return len(a) >= 5 }); err != nil {
			t.Fatal(err)
		}
		rec.Use(nil)
		if err := rec.WaitTaken(t.Context(), 5); err != nil {
			t.Fatal(err)
		}
		if got := rec.MaxConcurrent(); got != 3 {
			t.Errorf("at most %d attempts at once, want 3", got)
		}
		if got := rec.MaxConcurrentOf("p1"); got != 1 {
			t.Errorf("at most %d attempts of p1 at once, want 1", got)
		}
		ctx, cancel := context.WithTimeoutCause(t.Context(), time.Minute, errors.New("enough"))
		defer cancel()
		if err := rec.WaitTaken(ctx, 6); err == nil || err.Error() != "relaytest: what was "+
			"waited for did not come, after "+fmt.Sprint(len(rec.Attempts()))+" attempts: enough" {
			t.Errorf("Wait past the end: %v", err)
		}
	})
}

// every is a sink that must be sent each event.
type every struct{ relay.Sink }

func (every) EveryEvent() bool { return true }

// A recorder does not hide the optional behaviour of its sink.
func TestReport33RecorderPassesOptionalBehaviourOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		rec := relaytest.Record(every{relaytest.Takes()})
		db := memstore.New()
		r, stop := run(t, db, rec, nil)
		defer stop()
		var events []*guance.Event
		for i, status := range []string{"critical", "error", "warning", "critical", "error",
			"warning", "critical", "error", "ok"} {
			events = append(events, event(t, fmt.Sprint(i), "p", status))
		}
		if _, err := r.Accept(t.Context(), events...); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Minute)
		if got := len(rec.Taken()); got != 9 {
			t.Errorf("%d delivered, want each of the 9", got)
		}
	})
	for name, sink := range map[string]relay.Sink{
		"once": relaytest.Record(pagerdutysink.New(&pagerduty.Client{}, nil)),
		"twice": relaytest.Record(relaytest.Record(pagerdutysink.New(&pagerduty.Client{},
			nil))),
	} {
		if _, ok := relay.SinkAs[relay.Ignorer](sink); !ok {
			t.Errorf("recorded %s, what the sink ignores is not seen", name)
		}
		if _, ok := relay.SinkAs[relay.AccountNamer](sink); !ok {
			t.Errorf("recorded %s, the account of the sink is not seen", name)
		}
	}
}
