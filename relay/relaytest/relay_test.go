package relaytest_test

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/guance-relay/guance-relay/guance/guancetest"
	"github.com/guance-relay/guance-relay/pagerduty"
	"github.com/guance-relay/guance-relay/pagerduty/pagerdutytest"
	"github.com/guance-relay/guance-relay/relay"
	"github.com/guance-relay/guance-relay/relay/memstore"
	"github.com/guance-relay/guance-relay/relay/pagerdutysink"
	"github.com/guance-relay/guance-relay/relay/relaytest"
)

// atRandom answers at random; the seed decides.
func atRandom(seed uint64) relay.Sink {
	rng := rand.New(rand.NewPCG(seed, 1))
	answers := []relay.Sink{
		relaytest.Takes(), relaytest.Takes(), relaytest.Takes(),
		relaytest.Slow(3*time.Second, relaytest.Takes()),
		relaytest.Fails(errors.New("502")), relaytest.Slow(20*time.Second,
			relaytest.Fails(errors.New("504"))), relaytest.Hangs(),
		relaytest.Refuses("400"), relaytest.Throttles(20 * time.Second), relaytest.Throttles(0),
		relaytest.Panics("a bug"),
	}
	var mu sync.Mutex
	return relay.SinkFunc(func(ctx context.Context, d *relay.Delivery) error {
		mu.Lock()
		s := answers[rng.IntN(len(answers))]
		mu.Unlock()
		return s.Deliver(ctx, d)
	})
}

// A real relay with a bad target, stopped and started again. It shows how to fill a history in
// process.
func TestHistoryOfARelay(t *testing.T) {
	for seed := range uint64(8) {
		for _, every := range []bool{false, true} {
			synctest.Test(t, func(t *testing.T) {
				var h relaytest.History
				db, opts := memstore.New(), &relay.SinkOptions{EveryEvent: every}
				target := relaytest.Record(atRandom(seed))
				r, stop := run(t, db, target, opts)
				i := 0
				for d := range (guancetest.Storm{Seed: seed, Problems: 12, Events: 150,
					Settle: true}).Deliveries() {
					receipts, err := r.Accept(t.Context(), d.Event)
					if err != nil {
						t.Fatal(err)
					}
					h.Accepted = append(h.Accepted,
						relaytest.Told(d.Event, receipts[0].Problem, time.Now()))
					time.Sleep(time.Second)
					if i++; i%50 == 0 {
						stop()
						r, stop = run(t, db, target, opts)
					}
				}
				target.Use(relaytest.Takes())
				time.Sleep(3 * time.Hour)
				stop()
				var err error
				if h.Settled, err = relaytest.Settled(t.Context(), db, "lane",
					h.Accepted); err != nil {
					t.Fatal(err)
				}
				h.Attempts = target.Attempts()
				if err := h.Check(&relaytest.Rules{Every: every}); err != nil {
					v, _ := errors.AsType[*relaytest.Violation](err)
					t.Errorf("seed %d, every event %v: %v\n%s", seed, every, err,
						h.Timeline(cmp.Or(v, &relaytest.Violation{}).Problem))
				}
				if len(h.Attempts) < 20 {
					t.Errorf("seed %d: only %d attempts: nothing was tried", seed, len(h.Attempts))
				}
			})
		}
	}
}

// attemptsOf fills a history from the requests that a fake PagerDuty received.
func attemptsOf(
	t *testing.T, requests []pagerdutytest.Request, h *relaytest.History,
) (attempts []relaytest.Attempt) {
	t.Helper()
	byID := make(map[string]relaytest.Accepted)
	for _, a := range h.Accepted {
		byID[a.ID] = a
	}
	for _, r := range requests {
		var body struct {
			Payload struct {
				Details struct {
					EventID   string `json:"event_id"`
					Status    string `json:"status"`
					SubStatus string `json:"sub_status"`
				} `json:"custom_details"`
			} `json:"payload"`
		}
		if err := json.Unmarshal(r.Body, &body); err != nil {
			t.Fatalf("the fake was sent %.200s: %v", r.Body, err)
		}
		id := body.Payload.Details.EventID + "/" + body.Payload.Details.Status + "/" +
			body.Payload.Details.SubStatus
		said := byID[id]
		// The state is compared with what was sent, to find a wrong mapping. The level is Guance's,
		// as PagerDuty has fewer.
		a := relaytest.Attempt{ID: id, Problem: r.DedupKey, State: said.State, Level: said.Level,
			Start: r.Time}
		if (r.Action == "resolve") != (said.State == 2) {
			t.Errorf("event %s of state %v was sent as %s", id, said.State, r.Action)
		}
		switch {
		case r.Status/100 == 2:
			a.Answer = relaytest.Taken
		case r.Status == 429:
			a.Answer = relaytest.Throttled
		case r.Status/100 == 4:
			a.Answer = relaytest.Refused
		}
		attempts = append(attempts, a)
	}
	return attempts
}

// A real relay, client and sink, tested by what a fake PagerDuty received.
func TestHistoryOfTheWire(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fake := pagerdutytest.NewTransport()
		fake.Outage(4*time.Minute, pagerdutytest.Fault{Status: 502})
		key, err := pagerduty.ParseRoutingKey("0123456789abcdef0123456789abcdef")
		if err != nil {
			t.Fatal(err)
		}
		client, err := pagerduty.NewClient(key, &pagerduty.Options{Transport: fake})
		if err != nil {
			t.Fatal(err)
		}
		var h relaytest.History
		db := memstore.New()
		r, stop := run(t, db, pagerdutysink.New(client, nil), nil)
		for d := range (guancetest.Storm{Seed: 1, Problems: 40, Events: 400,
			Settle: true}).Deliveries() {
			receipts, err := r.Accept(t.Context(), d.Event)
			if err != nil {
				t.Fatal(err)
			}
			h.Accepted = append(h.Accepted, relaytest.Told(d.Event, receipts[0].Problem,
				time.Now()))
			time.Sleep(time.Second)
		}
		time.Sleep(3 * time.Hour)
		stop()
		h.Attempts = attemptsOf(t, fake.Requests(), &h)
		if h.Settled, err = relaytest.Settled(t.Context(), db, "lane", h.Accepted); err != nil {
			t.Fatal(err)
		}
		// each sends up to three requests
		if err := h.Check(&relaytest.Rules{InFlight: 6 * relay.DefaultConcurrency}); err != nil {
			t.Error(err)
		}
		if open := fake.Open(); len(open) > 0 {
			t.Errorf("%d incidents are open at the end, as %v", len(open),
				fmt.Sprint(open[0].DedupKey))
		}
	})
}

// The default rules fit the default lane: a new problem may wait for as many attempts as can be in
// flight, which the lane chose before it came.
func TestReport39DefaultRulesFitTheDefaultLane(t *testing.T) {
	for _, lesser := range []int{10, 40, 300} {
		synctest.Test(t, func(t *testing.T) {
			var h relaytest.History
			db := memstore.New()
			target := relaytest.Record(nil)
			db.Intercept(func(c memstore.Call, do func() error) error {
				if c.Method == "Mark" {
					time.Sleep(5 * time.Second)
				}
				return do()
			})
			r, stop := run(t, db, target, &relay.SinkOptions{PerMinute: 12_000})
			accept := func(id, problem, status string) {
				t.Helper()
				e := event(t, id, problem, status)
				if _, err := r.Accept(t.Context(), e); err != nil {
					t.Fatal(err)
				}
				h.Accepted = append(h.Accepted, relaytest.Told(e, problem, time.Now()))
			}
			time.Sleep(time.Minute) // until the token bucket is full
			for i := range lesser {
				accept(fmt.Sprint("e", i), fmt.Sprint("lesser", i), "warning")
			}
			time.Sleep(time.Second) // until the disk delays as many attempts as can be in flight
			accept("page", "page", "fatal")
			time.Sleep(time.Hour)
			stop()
			h.Attempts = target.Attempts()
			var err error
			if h.Settled, err = relaytest.Settled(t.Context(), db, "lane", h.Accepted); err != nil {
				t.Fatal(err)
			}
			if err := h.Check(&relaytest.Rules{PerMinute: 12_000}); err != nil {
				t.Errorf("%d lesser problems: %v", lesser, err)
			}
			if err := h.Check(&relaytest.Rules{PerMinute: 12_000,
				InFlight: 8}); (err == nil) != (lesser < relay.DefaultConcurrency) {
				t.Errorf("%d lesser problems: with 8 in flight: %v", lesser, err)
			}
		})
	}
}
