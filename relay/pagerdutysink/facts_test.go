package pagerdutysink_test

import (
	"context"
	"fmt"
	"log/slog"
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
	"github.com/guance-relay/guance-relay/relay/store"
)

// The numbers are those of the list of facts that docs/pagerduty-clients.md keeps; 1 to 45 and 53
// are tested beside the client and the fake.

// A resolve that arrives while its trigger meets 503s comes after it, and the end is resolved.
func TestFact46ResolveNeverOvertakes(t *testing.T) {
	for _, failures := range []int{1, 2, 3, 7, 20} {
		synctest.Test(t, func(t *testing.T) {
			fake := pagerdutytest.NewTransport()
			for range failures {
				fake.Script(pagerdutytest.Fault{Status: 503})
			}
			r, _ := start(t, fake, nil)
			p := guancetest.NewProblem("disk", "host", "web001")
			fault := p.Fault(guance.LevelCritical)
			if _, err := r.Accept(t.Context(), fault); err != nil {
				t.Fatal(err)
			}
			time.Sleep(time.Second)
			if _, err := r.Accept(t.Context(), p.Recover()); err != nil {
				t.Fatal(err)
			}
			time.Sleep(10 * time.Minute)
			if open := fake.Open(); len(open) != 0 {
				t.Errorf("after %d failures %d incidents stay open", failures, len(open))
			}
			resolved := false
			for _, req := range fake.Requests() {
				if req.Action == "trigger" && resolved {
					t.Error("a trigger went out after its resolve")
				}
				resolved = resolved || req.Action == "resolve"
			}
			if !resolved {
				t.Error("the resolve of a trigger that was on the wire was never sent")
			}
		})
	}
}

// A trigger whose answer was lost is sent again and stays one incident, which its resolve ends.
func TestFact47LostAnswer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fake := pagerdutytest.NewTransport()
		fake.Script(pagerdutytest.Fault{Connection: pagerdutytest.Hang, Ingest: true})
		r, _ := start(t, fake, nil)
		p := guancetest.NewProblem("disk", "host", "web001")
		fault := p.Fault(guance.LevelCritical)
		say(t, r, fault)
		say(t, r, p.Recover())
		time.Sleep(5 * time.Minute)
		got := fake.IncidentsOf(fault.ProblemKey())
		if len(got) != 1 || got[0].Status != pagerdutytest.Resolved {
			t.Fatalf("got %+v, want one incident, resolved", got)
		}
		reqs := fake.Requests()
		if len(reqs) != 4 || string(reqs[0].Body) != string(reqs[1].Body) ||
			string(reqs[2].Body) != string(reqs[3].Body) {
			t.Errorf("%d requests, want the trigger twice with the same bytes, and the resolve "+
				"a minute later once more", len(reqs))
		}
	})
}

// PagerDuty handles the trigger 40 s after the relay gave up waiting for it, and after the resolve.
func TestReport11LateTriggerEndsResolved(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fake := pagerdutytest.NewTransport()
		fake.Script(pagerdutytest.Fault{Connection: pagerdutytest.Hang, IngestAfter: 55 * time.Second})
		r, _ := start(t, fake, nil)
		p := guancetest.NewProblem("disk", "host", "web001")
		fault := p.Fault(guance.LevelCritical)
		say(t, r, fault)
		say(t, r, p.Recover())
		time.Sleep(5 * time.Minute)
		if open := fake.Open(); len(open) != 0 {
			t.Errorf("open at the end: %+v", open)
		}
	})
}

// Forty minutes of 502 end with every problem's last state, at a rate within the limit and without
// a herd.
func TestFact48FortyMinutesOf502(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fake := pagerdutytest.NewTransport()
		fake.Outage(40*time.Minute, pagerdutytest.Fault{Status: 502})
		r, _ := start(t, fake, nil)
		var stays []string
		for i := range 200 {
			p := guancetest.NewProblem("disk", "n", fmt.Sprint(i))
			fault := p.Fault(guance.LevelCritical)
			if _, err := r.Accept(t.Context(), fault); err != nil {
				t.Fatal(err)
			}
			time.Sleep(6 * time.Second)
			if i%2 == 1 {
				stays = append(stays, fault.ProblemKey())
				continue
			}
			if _, err := r.Accept(t.Context(), p.Recover()); err != nil {
				t.Fatal(err)
			}
		}
		time.Sleep(40*time.Minute - 200*6*time.Second)
		begun := len(fake.Requests())
		time.Sleep(30 * time.Minute)
		for _, key := range stays {
			if in, ok := fake.Incident(key); !ok || in.Status != pagerdutytest.Triggered {
				t.Errorf("problem %s is %q at PagerDuty, want triggered", key, in.Status)
			}
		}
		if open := fake.Open(); len(open) != len(stays) {
			t.Errorf("%d incidents open, want %d", len(open), len(stays))
		}
		if n := fake.MaxPerWindow(); n > 120 {
			t.Errorf("%d requests within a minute, 120 allowed", n)
		}
		// A probe is up to three requests, and there is one every 15 s or so.
		if begun > 40*60/15*3*2 {
			t.Errorf("%d requests during the outage", begun)
		}
		t.Logf("%d requests during the outage, %d in all", begun, len(fake.Requests()))
	})
}

// Two hours of 429 kill nothing.
func TestFact49TwoHoursOf429(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fake := pagerdutytest.NewTransport()
		fake.Outage(2*time.Hour, pagerdutytest.Fault{Status: 429})
		r, db := start(t, fake, nil)
		for i := range 100 {
			say(t, r, guancetest.NewProblem("disk", "n", fmt.Sprint(i)).Fault(guance.LevelCritical))
		}
		time.Sleep(3 * time.Hour)
		if n := len(fake.Open()); n != 100 {
			t.Errorf("%d incidents open, want 100", n)
		}
		for _, st := range db.Settled("pagerduty") {
			if st.Outcome != store.Delivered {
				t.Errorf("entry %d is %v (%s), want it delivered", st.Seq, st.Outcome, st.Reason)
			}
		}
	})
}

// An event that PagerDuty always answers with 500 delays no other, and becomes a dead letter.
func TestFact50Poison(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fake := pagerdutytest.NewTransport()
		bad := guancetest.NewProblem("poison").Fault(guance.LevelFatal)
		fake.Poison(func(r pagerdutytest.Request) bool {
			return r.DedupKey == bad.ProblemKey()
		}, pagerdutytest.Fault{Status: 500})
		r, db := start(t, fake, nil)
		say(t, r, bad)
		for i := range 1000 {
			p := guancetest.NewProblem("disk", "n", fmt.Sprint(i))
			fault := p.Fault(guance.LevelError)
			say(t, r, fault)
			if in, ok := fake.Incident(fault.ProblemKey()); !ok || in.Opened.After(time.Now()) {
				t.Fatalf("problem %d is not at PagerDuty after 10 s", i)
			}
		}
		dead, err := r.DeadLetters(t.Context(), "pagerduty", 0, 10)
		if err != nil || len(dead) != 1 || dead[0].Problem != bad.ProblemKey() {
			t.Errorf("dead letters %v, %v, want the poison alone", dead, err)
		}
		if n := len(db.Settled("pagerduty")); n != 1001 {
			t.Errorf("%d entries settled, want 1001", n)
		}
	})
}

// Ten thousand events of one routing key: the limit holds in every window, and each problem's
// events are in order.
func TestFact51TenThousandEvents(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fake := pagerdutytest.NewTransport()
		r, db := start(t, fake, nil)
		accepted := 0
		storm := guancetest.Storm{Seed: 51, Problems: 1000, Events: 10_000, Rate: 200, Start: time.Now()}
		for d := range storm.Deliveries() {
			receipts, err := r.Accept(t.Context(), d.Event)
			if err != nil {
				t.Fatal(err)
			}
			if receipts[0].Lanes["pagerduty"] == "accepted" {
				accepted++
			}
			time.Sleep(time.Second / 200)
		}
		time.Sleep(2 * time.Hour)
		if n := fake.MaxPerWindow(); n > 120 {
			t.Errorf("%d requests within a minute, 120 allowed", n)
		}
		settled := db.Settled("pagerduty")
		if len(settled) != accepted {
			t.Errorf("%d outcomes of %d accepted entries", len(settled), accepted)
		}
		last := make(map[string]uint64)
		for _, st := range settled {
			if st.Outcome != store.Delivered {
				continue
			}
			if st.Seq < last[st.Problem] {
				t.Errorf("problem %s: entry %d was delivered after entry %d", st.Problem, st.Seq,
					last[st.Problem])
			}
			last[st.Problem] = st.Seq
		}
		t.Logf("%d accepted, %d requests", accepted, len(fake.Requests()))
	})
}

// A stop with a full queue keeps within its deadline, and all that was not sent is kept and sent by
// the next run.
func TestFact52Shutdown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fake := pagerdutytest.NewTransport()
		for range 4 {
			fake.Script(pagerdutytest.Fault{Connection: pagerdutytest.Hang})
		}
		k, err := pagerduty.ParseRoutingKey(key)
		if err != nil {
			t.Fatal(err)
		}
		log := slog.New(slog.DiscardHandler)
		client, err := pagerduty.NewClient(k, &pagerduty.Options{Transport: fake, Logger: log})
		if err != nil {
			t.Fatal(err)
		}
		db := memstore.New()
		next := func() (r *relay.Relay, stop func() time.Duration) {
			r, err := relay.New(db, &relay.Options{Logger: log})
			if err != nil {
				t.Fatal(err)
			}
			r.Handle("pagerduty", pagerdutysink.New(client, nil), nil)
			ctx, cancel := context.WithCancel(t.Context())
			done := make(chan error)
			go func() { done <- r.Run(ctx) }()
			return r, func() time.Duration {
				cancel()
				start := time.Now()
				if err := <-done; err != nil {
					t.Errorf("Run: %v", err)
				}
				return time.Since(start)
			}
		}
		r, stop := next()
		for i := range 500 {
			if _, err := r.Accept(t.Context(), guancetest.NewProblem("disk", "n",
				fmt.Sprint(i)).Fault(guance.LevelCritical)); err != nil {
				t.Fatal(err)
			}
		}
		time.Sleep(5 * time.Second)
		if took := stop(); took > 5*time.Second {
			t.Errorf("the stop took %v, want the drain time of 5 s at most", took)
		}
		held, err := db.Holdings(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if done := len(db.Settled("pagerduty")); done+held["pagerduty"].Pending != 500 || done == 0 {
			t.Errorf("%d settled and %d kept of 500", done, held["pagerduty"].Pending)
		}
		_, stop = next()
		time.Sleep(10 * time.Minute)
		stop()
		if n := len(fake.Open()); n != 500 {
			t.Errorf("%d incidents open after the next run, want 500", n)
		}
		for _, in := range fake.Incidents() {
			if len(in.Log) != 1 {
				t.Errorf("problem %s was sent %d times", in.DedupKey, len(in.Log))
			}
		}
	})
}
