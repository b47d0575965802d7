package pagerdutysink_test

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/guance-relay/guance-relay/guance"
	"github.com/guance-relay/guance-relay/guance/guancetest"
	"github.com/guance-relay/guance-relay/pagerduty"
	"github.com/guance-relay/guance-relay/pagerduty/pagerdutytest"
	"github.com/guance-relay/guance-relay/relay"
	"github.com/guance-relay/guance-relay/relay/memstore"
	"github.com/guance-relay/guance-relay/relay/pagerdutysink"
)

const key = "0123456789abcdef0123456789ABCDEF"

// start runs a relay with a PagerDuty lane to a fake, in a bubble.
func start(t *testing.T, fake *pagerdutytest.Transport, opts *pagerdutysink.Options) (*relay.Relay,
	*memstore.Store) {
	t.Helper()
	k, err := pagerduty.ParseRoutingKey(key)
	if err != nil {
		t.Fatal(err)
	}
	log := slog.New(slog.NewTextHandler(t.Output(), nil))
	client, err := pagerduty.NewClient(k, &pagerduty.Options{Transport: fake, Logger: log})
	if err != nil {
		t.Fatal(err)
	}
	store := memstore.New()
	r, err := relay.New(store, &relay.Options{Logger: log})
	if err != nil {
		t.Fatal(err)
	}
	r.Handle("pagerduty", pagerdutysink.New(client, opts), nil)
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan error)
	go func() { done <- r.Run(ctx) }()
	t.Cleanup(func() {
		stop()
		if err := <-done; err != nil {
			t.Errorf("Run: %v", err)
		}
	})
	return r, store
}

func say(t *testing.T, r *relay.Relay, events ...*guance.Event) {
	t.Helper()
	if _, err := r.Accept(t.Context(), events...); err != nil {
		t.Fatal(err)
	}
	time.Sleep(10 * time.Second)
}

func TestFaultToRecovery(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fake := pagerdutytest.NewTransport()
		r, _ := start(t, fake, nil)
		p := guancetest.NewProblem("disk", "host", "web001")
		fault := p.Fault(guance.LevelError)
		say(t, r, fault)
		say(t, r, p.Fault(guance.LevelCritical))
		in, _ := fake.Incident(fault.ProblemKey())
		if in.Status != pagerdutytest.Triggered || in.Severity != "critical" || in.Source != "web001" ||
			len(in.Log) != 2 {
			t.Errorf("got %+v, want one open incident that was raised to critical", in)
		}
		for _, want := range []string{"result", "date", "description"} {
			if _, ok := in.Details[want]; !ok {
				t.Errorf("custom_details without %q: %v", want, in.Details)
			}
		}
		say(t, r, p.Recover())
		if in, _ := fake.Incident(fault.ProblemKey()); in.Status != pagerdutytest.Resolved {
			t.Errorf("got %+v, want it resolved", in)
		}
		// Orchestration rules match on content: a resolve has a payload like any other.
		last := fake.Requests()[2]
		if last.Action != "resolve" || !strings.Contains(string(last.Body), `"source":"web001"`) {
			t.Errorf("the resolve is %s", last.Body)
		}
	})
}

// Two long problem keys that differ only at the end are two incidents.
func TestLongKeys(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fake := pagerdutytest.NewTransport()
		r, _ := start(t, fake, nil)
		for _, end := range []string{"a", "b"} {
			ref := strings.Repeat("x", 300) + end
			say(t, r, &guance.Event{EventID: end, EventRef: ref, Status: guance.StatusCritical, Title: "t"})
		}
		say(t, r, &guance.Event{EventID: "c", EventRef: strings.Repeat("x", 300) + "a",
			Status: guance.StatusOK, Title: "t"})
		reqs := fake.Requests()
		if len(reqs) != 3 || reqs[0].DedupKey == reqs[1].DedupKey ||
			reqs[0].DedupKey != reqs[2].DedupKey {
			t.Errorf("got %d requests, want two triggers of two incidents and a resolve of the first",
				len(reqs))
		}
	})
}

// The reason is PagerDuty's answer without the routing key.
func TestReasonsHoldNoKey(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fake := pagerdutytest.NewTransport()
		fake.Outage(time.Hour, pagerdutytest.Fault{Status: 400, Body: "no service has the key " + key,
			ContentType: "text/plain"})
		r, _ := start(t, fake, nil)
		say(t, r, guancetest.NewProblem("disk", "host", "web001").Fault(guance.LevelError))
		if reason := r.Stats().Lanes[0].Reason; strings.Contains(reason, key) ||
			!strings.Contains(reason, "no service has the key") {
			t.Errorf("the reason is %q, want the answer without the key", reason)
		}
	})
}

func TestSibling(t *testing.T) {
	for _, sibling := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			fake := pagerdutytest.NewTransport()
			r, _ := start(t, fake, &pagerdutysink.Options{Sibling: sibling})
			p := guancetest.NewProblem("heartbeat", "host", "web001")
			fault := p.Fault(guance.LevelCritical)
			missing := p.NoData()
			say(t, r, fault, missing)
			say(t, r, p.RecoverByHand())
			want := 1
			if sibling {
				want = 0
			}
			if open := fake.Open(); len(open) != want {
				t.Errorf("Sibling %v: %d incidents open, want %d", sibling, len(open), want)
			}
		})
	}
}

// Whatever one source says of the problems of another, no incident of that one is resolved: by a
// recovery of the same problem, by the key of the sibling, or by a key that spells out another one.
func TestSourcesDoNotMeet(t *testing.T) {
	for _, attacker := range []string{"shop", ""} {
		synctest.Test(t, func(t *testing.T) {
			fake := pagerdutytest.NewTransport()
			r, _ := start(t, fake, &pagerdutysink.Options{Sibling: true})
			from := func(source string, events ...*guance.Event) {
				t.Helper()
				var err error
				if source == "" {
					_, err = r.Accept(t.Context(), events...)
				} else {
					_, err = r.AcceptFrom(t.Context(), source, events...)
				}
				if err != nil {
					t.Fatal(err)
				}
				time.Sleep(10 * time.Second)
			}
			p := guancetest.NewProblem("heartbeat", "host", "web001")
			fault, missing := p.Fault(guance.LevelCritical), p.NoData()
			from("bank", fault, missing)
			from(attacker, p.Recover(), p.RecoverByHand(), &guance.Event{
				Status: guance.StatusOK, EventRef: "source:bank:" + fault.ProblemKey(),
			})
			if open := fake.Open(); len(open) != 2 {
				t.Errorf("%q: %d incidents of the bank are open, want 2", attacker, len(open))
			}
			if in, ok := fake.Incident(relay.ProblemKey("bank", fault.ProblemKey())); !ok ||
				in.Status != pagerdutytest.Triggered {
				t.Errorf("%q: the incident of the fault is %+v", attacker, in)
			}
			from("bank", p.RecoverByHand())
			if open := fake.Open(); len(open) != 0 {
				t.Errorf("%d incidents are open after the bank's recovery and its sibling's, want none",
					len(open))
			}
		})
	}
}

func TestChanges(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fake := pagerdutytest.NewTransport()
		r, _ := start(t, fake, &pagerdutysink.Options{Changes: true})
		events, err := guance.Decode([]byte(`{"df_source":"change","df_status":"error","df_title":"deployment web scaled to 3","df_event_id":"event-1","df_event_link":"https://console.example/e"}`), "")
		if err != nil {
			t.Fatal(err)
		}
		say(t, r, events...)
		if got := fake.Changes(); len(got) != 1 || got[0].Summary != "deployment web scaled to 3" {
			t.Errorf("got %+v, want one change event", got)
		}
		if got := fake.Incidents(); len(got) != 0 {
			t.Errorf("a change opened %+v", got)
		}
	})
}

// Quick retries of the client use the budget.
func TestRetriesSpendFromTheBudget(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fake := pagerdutytest.NewTransport()
		fake.SetRateLimit(0) // the fake must not do the lane's work
		for range 200 {
			fake.Script(pagerdutytest.Fault{Status: 503}, pagerdutytest.Fault{Status: 503},
				pagerdutytest.Fault{})
		}
		r, _ := start(t, fake, nil)
		for i := range 150 {
			if _, err := r.Accept(t.Context(), guancetest.NewProblem("disk", "n",
				string(rune('a'+i))).Fault(guance.LevelError)); err != nil {
				t.Fatal(err)
			}
		}
		time.Sleep(30 * time.Minute)
		if n := len(fake.Open()); n != 150 {
			t.Errorf("%d incidents open, want 150", n)
		}
		if n := fake.MaxPerWindow(); n > 120 || n < 90 {
			t.Errorf("%d requests in the busiest minute, want close to 120 and no more", n)
		}
	})
}

// Promise 5: two lanes with one routing key share a budget.
func TestLanesUnderOneKey(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fake := pagerdutytest.NewTransport()
		log := slog.New(slog.NewTextHandler(t.Output(), nil))
		r, err := relay.New(memstore.New(), &relay.Options{Logger: log})
		if err != nil {
			t.Fatal(err)
		}
		for _, site := range []string{"web", "db"} {
			k, err := pagerduty.ParseRoutingKey(key)
			if err != nil {
				t.Fatal(err)
			}
			client, err := pagerduty.NewClient(k, &pagerduty.Options{Transport: fake, Logger: log})
			if err != nil {
				t.Fatal(err)
			}
			if account := client.Account(); account == "" || strings.Contains(account, key) {
				t.Errorf("the account is named %q, want a name that is not the key", account)
			}
			r.Handle(site, pagerdutysink.New(client, nil),
				&relay.SinkOptions{Match: func(e *guance.Event) bool {
					return strings.HasPrefix(e.DimensionTags["host"], site)
				}})
		}
		ctx, stop := context.WithCancel(t.Context())
		done := make(chan error)
		go func() { done <- r.Run(ctx) }()
		for i := range 200 {
			events := []*guance.Event{guancetest.NewProblem("disk", "host",
				fmt.Sprint("web", i)).Fault(guance.LevelCritical),
				guancetest.NewProblem("disk", "host", fmt.Sprint("db", i)).Fault(guance.LevelCritical)}
			if _, err := r.Accept(t.Context(), events...); err != nil {
				t.Fatal(err)
			}
		}
		time.Sleep(5 * time.Minute)
		stop()
		if err := <-done; err != nil {
			t.Errorf("Run: %v", err)
		}
		if n := fake.MaxPerWindow(); n > 120 {
			t.Errorf("%d requests in 60 s", n)
		}
		for _, request := range fake.Requests() {
			if request.Status == 429 {
				t.Fatal("PagerDuty has throttled")
			}
		}
		if n := len(fake.Open()); n != 400 {
			t.Errorf("%d incidents are open, want 400", n)
		}
	})
}
