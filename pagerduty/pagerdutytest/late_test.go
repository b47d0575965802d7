package pagerdutytest_test

import (
	"context"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/guance-relay/guance-relay/pagerduty/pagerdutytest"
)

// attemptOf sends an event and gives up after a second.
func attemptOf(t *testing.T, rt http.RoundTripper, base, event string) {
	t.Helper()
	attemptWithin(t, time.Second, rt, base, event)
}

func attemptWithin(t *testing.T, d time.Duration, rt http.RoundTripper, base, event string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), d)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, base+"/v2/enqueue",
		strings.NewReader(event))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/json")
	if got, err := do(rt, r); err == nil && got.status == http.StatusAccepted {
		t.Fatalf("answered %d", got.status)
	}
}

// A trigger that is handled after its resolve opens an incident, at the moment that was set, and
// nothing closes it.
func TestIngestAfter(t *testing.T) {
	for name, late := range map[string]fault{
		"never answered": {Connection: pagerdutytest.Hang, IngestAfter: 10 * time.Second},
		"dropped":        {Connection: pagerdutytest.DropAfterRead, IngestAfter: 10 * time.Second},
		"a gateway's":    {Status: 504, IngestAfter: 10 * time.Second},
		"cut": {Status: 502, Connection: pagerdutytest.CutAnswer,
			IngestAfter: 10 * time.Second},
	} {
		synctest.Test(t, func(t *testing.T) {
			fake := pagerdutytest.NewTransport()
			var steps int
			fake.OnStep(func(pagerdutytest.Step) { steps++ })
			start := time.Now()
			fake.Script(late)
			attemptOf(t, fake, host, trigger(key1, "a").String())
			fake.Heal() // a late event is still handled
			send(t, fake, resolve(key1, "a"))
			if !fake.Requests()[1].Dropped {
				t.Errorf("%s: the resolve found something to resolve", name)
			}
			time.Sleep(time.Until(start.Add(10*time.Second - time.Nanosecond)))
			if n := len(fake.Incidents()); n != 0 {
				t.Errorf("%s: %d incidents before the time", name, n)
			}
			time.Sleep(time.Nanosecond)
			synctest.Wait()
			if open := fake.Open(); len(open) != 1 || !open[0].Opened.Equal(start.Add(10*time.Second)) ||
				steps != 1 {
				t.Errorf("%s: %+v, %d steps; want one incident, opened after 10 s", name, open, steps)
			}
		})
	}
}

// A late event meets the state of that moment: a resolve finds an incident, or is dropped.
func TestIngestAfterMeetsWhatIsThere(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fake := pagerdutytest.NewTransport()
		fake.Script(fault{Connection: pagerdutytest.DropAfterRead, IngestAfter: time.Minute},
			fault{Connection: pagerdutytest.DropAfterRead, IngestAfter: time.Minute})
		attemptOf(t, fake, host, resolve(key1, "a").String())
		attemptOf(t, fake, host, resolve(key1, "b").String())
		send(t, fake, trigger(key1, "a"))
		if err := fake.WaitResolved(t.Context(), "a"); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if all := fake.Requests(); all[0].Dropped || !all[1].Dropped {
			t.Errorf("dropped: %t and %t, want the second alone", all[0].Dropped, all[1].Dropped)
		}
	})
}

func TestResetForgetsWhatIsOnItsWay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fake := pagerdutytest.NewTransport()
		fake.Script(fault{Connection: pagerdutytest.DropAfterRead, IngestAfter: time.Minute})
		attemptOf(t, fake, host, trigger(key1, "a").String())
		fake.Reset()
		time.Sleep(time.Hour)
		if n := len(fake.Incidents()); n != 0 {
			t.Errorf("%d incidents of before", n)
		}
	})
}

// Over a network a timer handles the event.
func TestIngestAfterOverANetwork(t *testing.T) {
	server := pagerdutytest.NewServer()
	defer server.Close()
	server.Script(fault{Status: 504, IngestAfter: time.Millisecond})
	attemptWithin(t, time.Minute, http.DefaultTransport, server.URL, trigger(key1, "a").String())
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if err := server.WaitOpen(ctx, "a"); err != nil {
		t.Error(err)
	}
}
