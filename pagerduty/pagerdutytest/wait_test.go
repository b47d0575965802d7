package pagerdutytest_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/guance-relay/guance-relay/pagerduty/pagerdutytest"
)

// The error of a wait says what was missing.
func TestWaitsSayWhatDidNotCome(t *testing.T) {
	fake := pagerdutytest.NewTransport()
	send(t, fake, trigger(key1, "a"), resolve(key1, "a"), trigger(key1, "b"))
	ctx, cancel := context.WithCancelCause(t.Context())
	cause := errors.New("the test is over")
	cancel(cause)
	never := func() bool { return false }
	for want, err := range map[string]error{
		"3 of 4 requests came":                                fake.WaitRequests(ctx, 4),
		`no incident of "a" is open; it had 1`:                fake.WaitOpen(ctx, "a"),
		`no incident of "c" is open; it had 0`:                fake.WaitOpen(ctx, "c"),
		`of 1 incidents of "b" 1 are open`:                    fake.WaitResolved(ctx, "b"),
		`of 0 incidents of "c" 0 are open`:                    fake.WaitResolved(ctx, "c"),
		"of 2 incidents 1 are open":                           fake.WaitAllResolved(ctx),
		"the condition did not become true":                   fake.Wait(ctx, never),
		"of 0 incidents 0 are open (nothing is no resolving)": pagerdutytest.New().WaitAllResolved(ctx),
	} {
		want, _, _ = strings.Cut(want, " (")
		if !errors.Is(err, cause) || err.Error() != "pagerdutytest: "+want+": the test is over" {
			t.Errorf("error %v; want %q", err, want)
		}
	}
	// A condition that is already true takes no time.
	for _, err := range []error{
		fake.WaitRequests(ctx, 3), fake.WaitOpen(ctx, "b"), fake.WaitResolved(ctx, "a"), fake.Wait(ctx,
			func() bool { return len(fake.Open()) == 1 }),
	} {
		if err != nil {
			t.Error(err)
		}
	}
}

// Waits look at all routing keys together.
func TestWaitsAcrossKeys(t *testing.T) {
	fake := pagerdutytest.NewTransport()
	over, cancel := context.WithCancel(t.Context())
	cancel()
	send(t, fake, trigger(key1, "a"), trigger(key2, "a"), resolve(key2, "a"))
	if err := fake.WaitOpen(over, "a"); err != nil {
		t.Error(err)
	}
	if err := fake.WaitResolved(over, "a"); err == nil {
		t.Error("one is open and WaitResolved is content")
	}
	send(t, fake, resolve(key1, "a"))
	if err := fake.WaitResolved(over, "a"); err != nil {
		t.Error(err)
	}
}

func TestManyWaiters(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fake := pagerdutytest.NewTransport()
		var waiters sync.WaitGroup
		for n := range 20 {
			waiters.Go(func() {
				if err := fake.WaitRequests(t.Context(), n+1); err != nil {
					t.Error(err)
				}
			})
		}
		for range 20 {
			time.Sleep(time.Second)
			send(t, fake, resolve(key1, "a"))
		}
		waiters.Wait()
	})
}

func TestOnStepTellsInOrder(t *testing.T) {
	fake := pagerdutytest.NewTransport()
	var told []string
	fake.OnStep(func(s pagerdutytest.Step) {
		// An observer may call the Fake and send events.
		if s.Action == "trigger" && !s.Repeated && s.Incident.DedupKey == "a" {
			send(t, fake, action(key1, "a", "acknowledge"))
		}
		told = append(told, fmt.Sprintf("%s %s %s repeated %v, %d open", s.Incident.DedupKey, s.Action,
			s.Incident.Status, s.Repeated, len(fake.Open())))
	})
	send(t, fake, trigger(key1, "a"), trigger(key1, "a"), resolve(key1, "unknown"),
		trigger(key2, "b"), resolve(key1, "a"))
	want := []string{
		"a trigger triggered repeated false, 1 open",
		"a acknowledge acknowledged repeated false, 1 open",
		"a trigger acknowledged repeated true, 1 open",
		"b trigger triggered repeated false, 2 open",
		"a resolve resolved repeated false, 1 open",
	}
	if diff := cmp.Diff(want, told); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}

// Everything at the same time, for the race detector.
func TestConcurrentUse(t *testing.T) {
	both(t, func(t *testing.T, fake *pagerdutytest.Fake, rt http.RoundTripper, base string) {
		const senders, each = 8, 15
		fake.SetRateLimit(0)
		steps := 0 // one call after the other
		fake.OnStep(func(pagerdutytest.Step) { steps++ })
		stop := fake.Poison(func(r pagerdutytest.Request) bool { return r.DedupKey == "poison" },
			fault{Status: 500})
		var all, asking sync.WaitGroup
		for s := range senders {
			all.Go(func() {
				for n := range each {
					dedupKey := fmt.Sprintf("%d-%d", s, n)
					send(t, at(rt, base), trigger(key1, dedupKey), resolve(key1, dedupKey))
					post(t, rt, base+"/v2/enqueue", trigger(key1, "poison").String())
					post(t, rt, base+"/v2/change/enqueue", change(key1).String())
				}
			})
		}
		asking.Go(func() {
			for n := range 100 {
				fake.Script(fault{ContentType: "text/plain"})
				fake.SetRateLimit(-n)
				fake.AcceptKeys(key1)
				fake.OutageBetween(time.Time{}, time.Time{}, fault{Status: 500})
				for _, i := range fake.Incidents() {
					i.Log[0].Action += strconv.Itoa(len(i.Details))
				}
				_, _ = fake.Open(), fake.Changes()
				_ = fmt.Sprint(len(fake.Requests()), fake.MaxPerWindow(), fake.Notifications())
				if err := fake.WaitRequests(t.Context(), n); err != nil {
					t.Error(err)
				}
			}
		})
		if err := fake.WaitRequests(t.Context(), senders*each*4); err != nil {
			t.Error(err)
		}
		all.Wait()
		asking.Wait()
		stop()
		if err := fake.WaitAllResolved(t.Context()); err != nil {
			t.Error(err)
		}
		if got := len(fake.Changes()); got != senders*each || len(fake.Incidents()) != senders*each ||
			fake.MaxPerWindow() != 4*senders*each {
			t.Errorf("%d changes, %d incidents, %d in a window", got, len(fake.Incidents()),
				fake.MaxPerWindow())
		}
		fake.Reset()
		send(t, at(rt, base), trigger(key1, "last"))
		if steps != 2*senders*each+1 {
			t.Errorf("%d steps", steps)
		}
	})
}
