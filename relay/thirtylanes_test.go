package relay_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"testing"
	"testing/synctest"
	"time"

	"github.com/guance-relay/guance-relay/guance"
	"github.com/guance-relay/guance-relay/guance/guancetest"
	"github.com/guance-relay/guance-relay/relay"
	"github.com/guance-relay/guance-relay/relay/memstore"
	"github.com/guance-relay/guance-relay/relay/relaytest"
)

// A matchedLane is one of thirty lanes.
type matchedLane struct {
	name   string
	match  func(*guance.Event) bool // nil: the fallback
	target *relaytest.Recorder
}

// thirtyLanes returns a fallback and 29 lanes: each takes the faults of at least a level, of one
// monitor or of all.
func thirtyLanes(rng *rand.Rand) (lanes []*matchedLane) {
	levels := []guance.Level{
		guance.LevelWarning, guance.LevelError, guance.LevelCritical, guance.LevelFatal,
	}
	for i := range 29 {
		match := relay.AtLeast(levels[i%len(levels)])
		if monitor := i % 7; monitor < 6 {
			match = relay.All(match, func(e *guance.Event) bool {
				return e.Incident != nil || e.CheckerName == fmt.Sprint("monitor ", monitor)
			})
		}
		lanes = append(lanes, &matchedLane{name: fmt.Sprint("lane ", i), match: match})
	}
	lanes = append(lanes, &matchedLane{name: "rest"})
	for _, l := range lanes { // each is down for three minutes in twenty
		seed := rng.Uint64()
		l.target = relaytest.Record(relay.SinkFunc(
			func(context.Context, *relay.Delivery) error {
				time.Sleep(time.Duration(seed % 900 * uint64(time.Millisecond)))
				if minute := (uint64(time.Now().Unix()) + seed%1200) / 60; minute%20 < 3 {
					return errors.New("503")
				}
				return nil
			}))
	}
	return lanes
}

// nextEvent says something about a problem.
func nextEvent(rng *rand.Rand, p *guancetest.Problem) *guance.Event {
	p.Now = time.Now()
	switch rng.IntN(12) {
	case 0, 1:
		return p.Recover()
	case 2:
		return p.RecoverByHand()
	case 3:
		return p.Incident("open")
	case 4:
		return p.Incident("working")
	case 5:
		return p.Incident("closed")
	case 6:
		return p.Info()
	}
	return p.Fault(guance.LevelWarning + guance.Level(rng.IntN(4)))
}

// issue returns the body of an Issue, which is a problem of its own.
func issue(t *testing.T, rng *rand.Rand) *guance.Event {
	t.Helper()
	status := []string{"open", "working", "resolved"}[rng.IntN(3)]
	events, err := guance.Decode(fmt.Appendf(nil, `{"event_type":"issue.modify","issue":{`+
		`"uuid":"issue_%d","name":"checkout is slow","level":"system_level_%d","status":%q,`+
		`"updateAt":%d}}`, rng.IntN(5), rng.IntN(4), status, time.Now().Unix()), "application/json")
	if err != nil || len(events) != 1 {
		t.Fatalf("decoding an Issue: %d events, %v", len(events), err)
	}
	return events[0]
}

// Thirty lanes, levels that go up and down, Issues, Incidents and recoveries by hand, targets that
// are down, and restarts. In every lane the target shows what Guance last said, or nothing if the
// lane did not want that. Nothing is sent to a lane that neither Match nor stickiness gave it.
func TestThirtyLanes(t *testing.T) {
	for seed := range uint64(3) {
		t.Run(fmt.Sprint("seed=", seed), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { playThirtyLanes(t, rand.New(rand.NewPCG(seed, 30))) })
		})
	}
}

func playThirtyLanes(t *testing.T, rng *rand.Rand) {
	lanes := thirtyLanes(rng)
	memory := memstore.New()
	db := relaytest.RecordStore(memory)
	start := func() (r *relay.Relay, stop func()) {
		r = over(t, db)
		for _, l := range lanes {
			r.Handle(l.name, l.target, &relay.SinkOptions{Match: l.match, Fallback: l.match == nil})
		}
		return r, running(t, r)
	}
	var problems []*guancetest.Problem
	for i := range 24 {
		problems = append(problems, guancetest.NewProblem(fmt.Sprint("monitor ", i%6), "host",
			fmt.Sprint("web", i)))
	}
	last := make(map[string]*guance.Event) // what Guance last said, by problem
	r, stop := start()
	const events = 600
	for i := range events {
		if i%100 == 99 {
			stop()
			memory = memory.Restart()
			db.Use(memory)
			r, stop = start()
		}
		e := nextEvent(rng, problems[rng.IntN(len(problems))])
		if rng.IntN(10) == 0 {
			e = issue(t, rng)
		}
		receipt := accept(t, r, e)[0]
		if e.State() != guance.StateNeither && receipt.Fate != "duplicate" {
			last[receipt.Problem] = e
		}
		time.Sleep(time.Second + time.Duration(rng.IntN(30_000))*time.Millisecond*
			time.Duration(rng.IntN(2)))
	}
	time.Sleep(2 * time.Hour)
	stop()
	configured := func(a *relaytest.Appended) []relaytest.Configuration {
		return []relaytest.Configuration{configurationOf(t, lanes, a)}
	}
	if err := db.CheckRouting(&relaytest.RoutingRules{Configurations: configured}); err != nil {
		t.Error(err)
	}
	for _, l := range lanes {
		l.check(t, db, last)
	}
}

// configurationOf returns what the lanes say of an event.
func configurationOf(
	t *testing.T, lanes []*matchedLane, a *relaytest.Appended,
) (c relaytest.Configuration) {
	t.Helper()
	events, err := guance.Decode(a.Event.Body, "application/json")
	if err != nil {
		t.Fatal(err)
	}
	for _, l := range lanes {
		c.Served = append(c.Served, l.name)
		switch {
		case l.match == nil:
			c.Fallback = l.name
		case l.match(events[0]):
			c.Wanted = append(c.Wanted, l.name)
		}
	}
	return c
}

// check tests what the lane sent, and what its target shows.
func (l *matchedLane) check(
	t *testing.T, db *relaytest.StoreRecorder, last map[string]*guance.Event,
) {
	t.Helper()
	h, err := db.LaneHistory(t.Context(), l.name)
	if err != nil {
		t.Fatal(err)
	}
	h.Attempts = l.target.Attempts()
	if err := h.Check(nil); err != nil {
		t.Errorf("%s: %v", l.name, err)
	}
	sticky := make(map[uint64]bool)
	for _, a := range h.Accepted {
		sticky[a.Seq] = a.Sticky
	}
	shown := make(map[string]guance.Level) // LevelNone: nothing
	for _, a := range h.Attempts {
		before := shown[a.Problem]
		if a.State == guance.StateProblem && sticky[a.Seq] && before == guance.LevelNone {
			t.Errorf("%s: entry %d begins a problem that the lane did not want\n%s", l.name, a.Seq,
				h.Timeline(a.Problem))
		}
		if a.Answer == relaytest.Taken && a.State != guance.StateNeither {
			shown[a.Problem] = guance.LevelNone
			if a.State == guance.StateProblem {
				shown[a.Problem] = a.Level
			}
		}
	}
	for problem, said := range last {
		want, wanted := guance.LevelNone, false
		if said.State() == guance.StateProblem {
			want, wanted = said.Level(), l.match != nil && l.match(said)
		}
		got := shown[problem]
		if got != want && (wanted || got != guance.LevelNone) {
			t.Errorf("%s: the target shows %v, and last said was %v\n%s", l.name, got, want,
				h.Timeline(problem))
		}
	}
}
