package relay_test

import (
	"context"
	"fmt"
	"log/slog"
	"testing"
	"testing/synctest"
	"time"

	"github.com/guance-relay/guance-relay/guance"
	"github.com/guance-relay/guance-relay/guance/guancetest"
	"github.com/guance-relay/guance-relay/relay"
	"github.com/guance-relay/guance-relay/relay/memstore"
	"github.com/guance-relay/guance-relay/relay/relaytest"
)

// interval is how long a lane of 120 requests a minute waits for a token, once its burst is spent.
const interval = 61 * time.Second / 111

// Promises 2 to 6 under a storm: ten thousand events of three thousand problems within a minute,
// 120 requests a minute allowed, and twenty new critical problems in the middle of it.
func TestStorm(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := memstore.New()
		r, err := relay.New(store, &relay.Options{Logger: slog.New(slog.DiscardHandler)})
		if err != nil {
			t.Fatal(err)
		}
		target := relaytest.Record(relaytest.Slow(80*time.Millisecond, relaytest.Takes()))
		r.Handle("lane", target, nil)
		ctx, stop := context.WithCancel(t.Context())
		done := make(chan error)
		go func() { done <- r.Run(ctx) }()
		time.Sleep(time.Minute) // the lane has its whole burst

		var h relaytest.History
		levels := make(map[string]guance.Level)
		problems, raised := 0, 0
		say := func(e *guance.Event) {
			receipts, err := r.Accept(ctx, e)
			if err != nil {
				t.Fatal(err)
			}
			problem := receipts[0].Problem
			if receipts[0].Lanes["lane"] != "accepted" {
				return
			}
			h.Accepted = append(h.Accepted, relaytest.Told(e, problem, time.Now()))
			switch before, known := levels[problem]; {
			case !known:
				problems++
			case e.State() == guance.StateProblem && before != e.Level():
				raised++
			}
			levels[problem] = e.Level()
		}
		var criticals []string
		critical := func() {
			e := guancetest.NewProblem("payments are down", "shop",
				fmt.Sprint(len(criticals))).Fault(guance.LevelCritical)
			criticals = append(criticals, e.ProblemKey())
			say(e)
		}
		n := 0
		for d := range (guancetest.Storm{Seed: 6, Problems: 3000, Events: 10_000, Rate: 167,
			Start: time.Now()}).Deliveries() {
			say(d.Event)
			switch n++; {
			case n == 4000: // ten at once
				for range 10 {
					critical()
				}
			case n > 4000 && n <= 8000 && n%400 == 0: // and ten one after the other
				critical()
			}
			time.Sleep(time.Minute / 10_000)
		}
		time.Sleep(2 * time.Hour)
		stop()
		if err := <-done; err != nil {
			t.Error(err)
		}

		h.Attempts = target.Attempts()
		if h.Settled, err = relaytest.Settled(t.Context(), store, "lane", h.Accepted); err != nil {
			t.Fatal(err)
		}
		if err := h.Check(nil); err != nil {
			t.Error(err)
		}
		if got, most := len(h.Attempts), problems+raised; got > most {
			t.Errorf("%d requests, want at most the %d problems and the %d events that raised or lowered one", got, problems, raised)
		}
		var worst, longest time.Duration
		for _, key := range criticals {
			late, waited := sinceItsTurn(&h, key)
			worst, longest = max(worst, late), max(longest, waited)
			if late > 2*interval+time.Millisecond { // waits are rounded up
				t.Errorf("a new critical problem was sent %.1f tokens after its turn, want 2 at most\n%s",
					float64(late)/float64(interval), h.Timeline(key))
			}
		}
		t.Logf("%d events accepted, %d problems, %d changes of level: %d requests; a new critical was sent %.2f tokens after its turn at most, %v after it was accepted",
			len(h.Accepted), problems, raised, len(h.Attempts), float64(worst)/float64(interval),
			longest.Round(time.Millisecond))
	})
}

// sinceItsTurn returns how long after its turn, and after it was accepted, a problem was first
// sent. Its turn has come when the last new problem that was worse, or as bad and there before it,
// was sent.
func sinceItsTurn(h *relaytest.History, key string) (late, waited time.Duration) {
	arrived := make(map[string]time.Time)
	var level guance.Level
	for _, a := range h.Accepted {
		if _, known := arrived[a.Problem]; !known {
			arrived[a.Problem] = a.At
		}
		if a.Problem == key {
			level = a.Level
		}
	}
	turn, sent := arrived[key], make(map[string]bool)
	for _, a := range h.Attempts {
		news := !sent[a.Problem]
		sent[a.Problem] = true
		switch {
		case a.Problem == key:
			return a.Start.Sub(turn), a.Start.Sub(arrived[key])
		case a.Start.After(turn) && news && (a.Level > level || a.Level == level &&
			!arrived[a.Problem].After(arrived[key])):
			turn = a.Start
		}
	}
	return time.Hour, time.Hour
}
