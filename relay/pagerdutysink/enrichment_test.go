package pagerdutysink_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/guance-relay/guance-relay/guance"
	"github.com/guance-relay/guance-relay/guance/guancetest"
	"github.com/guance-relay/guance-relay/pagerduty"
	"github.com/guance-relay/guance-relay/pagerduty/pagerdutytest"
	"github.com/guance-relay/guance-relay/relay"
	"github.com/guance-relay/guance-relay/relay/pagerdutysink"
)

type enrich = func(context.Context, *guance.Event, *pagerduty.Event) error

func addOwner(_ context.Context, _ *guance.Event, alert *pagerduty.Event) error {
	alert.Details["owner"] = "payments"
	return nil
}

// failures are the ways in which a look-up fails. Each has changed half of the alert before.
var failures = map[string]struct {
	enrich enrich
	says   string // in the log
	takes  time.Duration
}{
	"an error": {func(context.Context, *guance.Event, *pagerduty.Event) error {
		return errors.New("the CMDB is closed")
	}, "the CMDB is closed", 0},
	"a dead letter": {func(context.Context, *guance.Event, *pagerduty.Event) error {
		return relay.Permanent(errors.New("no such host"))
	}, "no such host", 0},
	"an ignored event": {func(context.Context, *guance.Event, *pagerduty.Event) error {
		return relay.Ignore("nobody owns it")
	}, "nobody owns it", 0},
	"a pause": {func(context.Context, *guance.Event, *pagerduty.Event) error {
		return relay.RetryAfter(errors.New("the CMDB is busy"), time.Hour)
	}, "the CMDB is busy", 0},
	"a panic": {func(context.Context, *guance.Event, *pagerduty.Event) error {
		panic("no CMDB")
	}, "it panicked: no CMDB", 0},
	"an error that panics": {func(context.Context, *guance.Event, *pagerduty.Event) error {
		return (*brokenError)(nil)
	}, "error=<nil>", 0},
	"the end of its goroutine": {func(context.Context, *guance.Event, *pagerduty.Event) error {
		runtime.Goexit()
		return nil
	}, "ended its goroutine", 0},
	"its context": {func(ctx context.Context, _ *guance.Event, _ *pagerduty.Event) error {
		<-ctx.Done()
		return ctx.Err()
	}, "", 5 * time.Second},
	"too long": {func(context.Context, *guance.Event, *pagerduty.Event) error {
		time.Sleep(time.Minute)
		return nil
	}, "did not return within 5s", 5 * time.Second},
}

type brokenError struct{ text string }

func (e *brokenError) Error() string { return e.text }

// half changes an alert before and after the look-up.
func half(then enrich) enrich {
	return func(ctx context.Context, e *guance.Event, alert *pagerduty.Event) error {
		change := func() {
			alert.Action, alert.DedupKey, alert.Summary = pagerduty.ActionResolve, "another", "half done"
			alert.Severity, alert.Links, alert.Details["half"] = pagerduty.SeverityInfo, nil, true
			alert.Details["tags"].(map[string]string)["host"] = "half done"
		}
		change()
		defer change()
		return then(ctx, e, alert)
	}
}

// An alert whose look-up fails is sent as it was, and says so. The next alerts are sent too.
func TestFailedEnrichmentIsLeftOut(t *testing.T) {
	for name, test := range failures {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				fake, log := pagerdutytest.NewTransport(), &logBuffer{}
				r, store := start(t, fake, &pagerdutysink.Options{
					Enrich: half(test.enrich), Logger: slog.New(slog.NewTextHandler(log, nil)),
				})
				p := guancetest.NewProblem("disk", "host", "web001")
				fault := p.Fault(guance.LevelCritical)
				accepted := time.Now()
				say(t, r, fault)
				in, _ := fake.Incident(fault.ProblemKey())
				if took := in.Opened.Sub(accepted); took < test.takes || took > test.takes+2*time.Second {
					t.Errorf("it was sent after %v, want %v", took, test.takes)
				}
				says, _ := in.Details["enrichment"].(string)
				if in.Summary != fault.Title || in.Severity != "critical" || in.Details["half"] != nil ||
					!strings.Contains(says, "the look-up failed") {
					t.Errorf("got %+v, want the alert without the half, and a detail that says so", in)
				}
				if body := fake.Requests()[0].Body; bytes.Contains(body, []byte("half done")) ||
					test.says != "" && bytes.Contains(body, []byte(test.says)) {
					t.Errorf("sent %s: it has changes of Enrich, or its error", body)
				}
				if warned := log.lines("level=WARN"); len(warned) != 1 ||
					!strings.Contains(warned[0], test.says) || !strings.Contains(warned[0], "lane=pagerduty") {
					t.Errorf("the warnings are %q, want one with %q", warned, test.says)
				}
				if stacks := log.lines("level=ERROR"); len(stacks) != strings.Count(name, "a panic") {
					t.Errorf("the errors are %q, want the stack of a panic", stacks)
				}
				say(t, r, p.Recover())
				if open, n := fake.Open(), len(store.Settled("pagerduty")); len(open) != 0 || n != 2 {
					t.Errorf("open: %+v; %d settled, want both", open, n)
				}
				time.Sleep(2 * time.Minute)
			})
		})
	}
}

// What Enrich adds is sent with the trigger and the resolve. It cannot change which incident they
// are for.
func TestEnrichedAlert(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fake := pagerdutytest.NewTransport()
		r, _ := start(t, fake, &pagerdutysink.Options{
			Map: func(_ *guance.Event, alert *pagerduty.Event) bool {
				alert.DedupKey = "mapped " + alert.DedupKey
				return true
			},
			Enrich: func(_ context.Context, e *guance.Event, alert *pagerduty.Event) error {
				if alert.DedupKey != "mapped "+e.ProblemKey() {
					t.Errorf("Enrich got %q, want what Map has made", alert.DedupKey)
				}
				alert.Action, alert.DedupKey = pagerduty.ActionAcknowledge, "another"
				alert.Severity, alert.Details["owner"] = pagerduty.SeverityWarning, "payments"
				return nil
			},
		})
		p := guancetest.NewProblem("disk", "host", "web001")
		fault := p.Fault(guance.LevelCritical)
		say(t, r, fault)
		in, ok := fake.Incident("mapped " + fault.ProblemKey())
		if !ok || in.Severity != "warning" || in.Details["owner"] != "payments" ||
			in.Details["enrichment"] != nil {
			t.Errorf("got %+v, want the enriched alert under the key of Map", in)
		}
		say(t, r, p.Recover())
		if open := fake.Open(); len(open) != 0 {
			t.Errorf("open: %+v, want none", open)
		}
	})
}

// Enrich is called once in an attempt: its quick retries send the same bytes.
func TestEnrichIsCalledOncePerAttempt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fake := pagerdutytest.NewTransport()
		for range 4 { // the first attempt has three requests
			fake.Script(pagerdutytest.Fault{Status: 503})
		}
		var calls atomic.Int32
		r, _ := start(t, fake, &pagerdutysink.Options{
			Enrich: func(_ context.Context, _ *guance.Event, alert *pagerduty.Event) error {
				alert.Details["call"] = calls.Add(1)
				return nil
			},
		})
		say(t, r, guancetest.NewProblem("disk").Fault(guance.LevelCritical))
		reqs := fake.Requests()
		if calls.Load() != 2 || len(reqs) != 5 || !bytes.Equal(reqs[0].Body, reqs[2].Body) ||
			bytes.Equal(reqs[0].Body, reqs[3].Body) {
			t.Errorf("%d calls for %d requests, want one for each of two attempts",
				calls.Load(), len(reqs))
		}
	})
}

// With EnrichRequired every failure is a failed attempt, whatever the error says. Nothing was sent,
// so no answer is lost and the recovery is sent once.
func TestEnrichRequired(t *testing.T) {
	for name, test := range failures {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				fake := pagerdutytest.NewTransport()
				var mended atomic.Bool
				r, _ := start(t, fake, &pagerdutysink.Options{
					EnrichRequired: true, Logger: slog.New(slog.DiscardHandler),
					Enrich: func(ctx context.Context, e *guance.Event, alert *pagerduty.Event) error {
						if mended.Load() {
							return addOwner(ctx, e, alert)
						}
						return half(test.enrich)(ctx, e, alert)
					},
				})
				p := guancetest.NewProblem("disk", "host", "web001")
				fault := p.Fault(guance.LevelCritical)
				say(t, r, fault)
				lane := r.Stats().Lanes[0]
				if len(fake.Requests()) != 0 || lane.Dead+lane.Ignored != 0 ||
					!strings.Contains(lane.Reason, "Options.Enrich failed: ") {
					t.Errorf("%d requests, %+v; want nothing sent, and the reason", len(fake.Requests()), lane)
				}
				mended.Store(true)
				time.Sleep(2 * time.Minute)
				in, _ := fake.Incident(fault.ProblemKey())
				if in.Details["owner"] != "payments" || in.Details["half"] != nil {
					t.Errorf("got %+v, want the enriched alert", in)
				}
				say(t, r, p.Recover())
				time.Sleep(5 * time.Minute)
				if n := len(fake.Requests()); n != 2 {
					t.Errorf("%d requests, want the trigger and one resolve", n)
				}
			})
		})
	}
}

// The log has a warning a minute, with the number of failures.
func TestEnrichFailuresAreLoggedOnceAMinute(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fake, log := pagerdutytest.NewTransport(), &logBuffer{}
		r, _ := start(t, fake, &pagerdutysink.Options{
			Enrich: failures["an error"].enrich, Logger: slog.New(slog.NewTextHandler(log, nil)),
		})
		for i := range 31 {
			say(t, r, guancetest.NewProblem("disk", "n", fmt.Sprint(i)).Fault(guance.LevelCritical))
		}
		if warned := log.lines("level=WARN"); len(warned) != 5 ||
			!strings.Contains(warned[4], "failures=6") {
			t.Errorf("the warnings are %q, want one a minute", warned)
		}
	})
}

// An Enrich that never returns does not fill the memory, and delays each alert by 5 s at most.
func TestEnrichThatNeverReturns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fake, end := pagerdutytest.NewTransport(), make(chan struct{})
		var calls atomic.Int32
		defer close(end)
		r, _ := start(t, fake, &pagerdutysink.Options{
			Logger: slog.New(slog.DiscardHandler),
			Enrich: func(context.Context, *guance.Event, *pagerduty.Event) error {
				calls.Add(1)
				<-end
				return nil
			},
		})
		for i := range 200 {
			if _, err := r.Accept(t.Context(),
				guancetest.NewProblem("disk", "n", fmt.Sprint(i)).Fault(guance.LevelCritical)); err != nil {
				t.Fatal(err)
			}
		}
		time.Sleep(10 * time.Minute)
		if n, open := calls.Load(), len(fake.Open()); n != 64 || open != 200 {
			t.Errorf("%d calls and %d open incidents, want 64 and 200", n, open)
		}
	})
}

// A full burst is held up by slow look-ups, and fast ones follow. Not more requests arrive in a
// minute than are allowed.
func TestSlowEnrichKeepsTheBudget(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fake := pagerdutytest.NewTransport()
		fake.SetRateLimit(0) // the fake must not do the lane's work
		began := time.Now().Add(time.Minute)
		r, _ := start(t, fake, &pagerdutysink.Options{
			Enrich: func(context.Context, *guance.Event, *pagerduty.Event) error {
				if time.Since(began) < 30*time.Second {
					time.Sleep(4 * time.Second)
				}
				return nil
			},
		})
		time.Sleep(time.Until(began)) // the bucket fills
		for i := range 400 {
			if _, err := r.Accept(t.Context(),
				guancetest.NewProblem("disk", "n", fmt.Sprint(i)).Fault(guance.LevelCritical)); err != nil {
				t.Fatal(err)
			}
		}
		time.Sleep(10 * time.Minute)
		if n, open := fake.MaxPerWindow(), len(fake.Open()); n > 120 || n < 90 || open != 400 {
			t.Errorf("%d requests in a minute and %d open incidents, want at most 120, and 400", n, open)
		}
	})
}

// An attempt that is cut, or is too short for the look-up.
func TestEnrichIsBoundByTheAttempt(t *testing.T) {
	hangs := func(ctx context.Context, _ *guance.Event, _ *pagerduty.Event) error {
		<-ctx.Done()
		return nil
	}
	event := guancetest.NewProblem("disk", "host", "web001").Fault(guance.LevelCritical)
	t.Run("cut", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			fake := pagerdutytest.NewTransport()
			sink := pagerdutysink.New(newClient(t, fake), &pagerdutysink.Options{Enrich: hangs})
			ctx, cancel := context.WithCancel(t.Context())
			time.AfterFunc(time.Second, cancel)
			err := sink.Deliver(ctx, &relay.Delivery{Event: event, Problem: event.ProblemKey()})
			lost, ok := errors.AsType[interface {
				error
				AnswerLost() bool
			}](err)
			if !errors.Is(err, context.Canceled) || !ok || lost.AnswerLost() {
				t.Errorf("the error is %v, want that of the context, without a lost answer", err)
			}
			if n := len(fake.Requests()); n != 0 {
				t.Errorf("%d requests were sent", n)
			}
		})
	})
	t.Run("short", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			fake := pagerdutytest.NewTransport()
			sink := pagerdutysink.New(newClient(t, fake), &pagerdutysink.Options{
				Enrich: hangs, Logger: slog.New(slog.DiscardHandler),
			})
			ctx, cancel := context.WithTimeout(t.Context(), 4*time.Second)
			defer cancel()
			err := sink.Deliver(ctx, &relay.Delivery{Event: event, Problem: event.ProblemKey()})
			if open := fake.Open(); err != nil || len(open) != 1 {
				t.Errorf("%v and %d open incidents, want the alert to be sent", err, len(open))
			}
		})
	})
}

// Enrich is not called for change events.
func TestEnrichIsForAlerts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fake := pagerdutytest.NewTransport()
		r, _ := start(t, fake, &pagerdutysink.Options{
			Changes: true, EnrichRequired: true, MinLevel: guance.LevelFatal, IgnoreMuted: true,
			Enrich: failures["an error"].enrich,
		})
		say(t, r, decodeOne(t, `{"df_source":"change","df_event_id":"event-1","df_title":"scaled",
			"df_status":"warning","df_is_silent":"true"}`))
		if n := len(fake.Changes()); n != 1 {
			t.Errorf("%d change events, want one", n)
		}
	})
}
