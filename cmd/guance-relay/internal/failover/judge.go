//go:build unix

package main

import (
	"errors"
	"fmt"
	"slices"
	"text/tabwriter"
	"time"

	"github.com/guance-relay/guance-relay/cmd/guance-relay/internal/received"
	"github.com/guance-relay/guance-relay/guance"
	"github.com/guance-relay/guance-relay/pagerduty/pagerdutytest"
	"github.com/guance-relay/guance-relay/relay/relaytest"
	"github.com/guance-relay/guance-relay/relay/store"
)

// judge prints what came out, and returns an error for each broken promise.
func (d *drill) judge() error {
	h := relaytest.History{Accepted: d.load.accepted, Ends: make(map[string]guance.State)}
	var err error
	if h.Attempts, err = received.Attempts(d.target.Requests()); err != nil {
		return err
	}
	for s := range d.settled {
		h.Settled = append(h.Settled, store.Settlement{
			Entry:   store.Entry{Seq: s.seq, ID: s.id, Problem: s.problem},
			Outcome: s.outcome, Reason: s.reason, At: s.at,
		})
	}
	slices.SortFunc(h.Settled, func(a, b store.Settlement) int { return a.At.Compare(b.At) })
	for _, a := range h.Accepted {
		h.Ends[a.Problem] = guance.StateRecovered
		i, ok := d.target.Incident(a.Problem)
		if ok && i.Status != pagerdutytest.Resolved {
			h.Ends[a.Problem] = guance.StateProblem
		}
	}
	lost, dead := outcomes(&h)
	back := backwards(&h)
	window := d.target.MaxPerWindow()
	d.print(&h, lost, dead, back, window)

	errs := []error{d.load.err, h.Check(&relaytest.Rules{PerMinute: d.perMinute, InFlight: 100})}
	for _, count := range []struct {
		n    int
		what string
	}{
		{lost, "alerts that were answered with 202 are lost"},
		{dead, "alerts are dead"},
		{back, "states went backwards"},
		{max(window-d.perMinute, 0), "requests were above the budget of a minute"},
	} {
		if count.n > 0 {
			errs = append(errs, fmt.Errorf("%d %s", count.n, count.what))
		}
	}
	return errors.Join(errs...)
}

// outcomes returns how many accepted events have no outcome, and how many are dead.
func outcomes(h *relaytest.History) (lost, dead int) {
	outcome := make(map[string]store.Outcome)
	for _, s := range h.Settled {
		outcome[s.ID] = s.Outcome
		if s.Outcome == store.Dead {
			dead++
		}
	}
	for _, a := range h.Accepted {
		if outcome[a.ID] == 0 {
			lost++
		}
	}
	return lost, dead
}

// backwards returns how many requests had an older event of their problem than one before.
func backwards(h *relaytest.History) (n int) {
	place := make(map[string]int)
	for i, a := range h.Accepted {
		place[a.ID] = i
	}
	furthest := make(map[string]int)
	for _, a := range h.Attempts { // in the order of their arrival
		if i := place[a.ID]; i < furthest[a.Problem] {
			n++
		} else {
			furthest[a.Problem] = i
		}
	}
	return n
}

func (d *drill) print(h *relaytest.History, lost, dead, back, window int) {
	fmt.Fprintln(d.out)
	w := tabwriter.NewWriter(d.out, 0, 0, 2, ' ', 0)
	line := func(cells ...any) {
		for _, c := range cells {
			fmt.Fprint(w, c, "\t")
		}
		fmt.Fprintln(w)
	}
	ms := func(t time.Duration) time.Duration { return t.Round(time.Millisecond) }
	line("disruption", "rounds", "another owner sends after: p50", "max", "nobody sends for: p50",
		"max")
	for what, took := range d.took {
		if n := len(took); n > 0 {
			paused := d.paused[what]
			slices.Sort(took)
			slices.Sort(paused)
			line(names[what], n, ms(took[n/2]), ms(took[n-1]), ms(paused[n/2]), ms(paused[n-1]))
		}
	}
	_ = w.Flush() // as Fprint to stdout
	n := len(h.Accepted)
	line("alerts accepted", n, fmt.Sprintf("%.1f %%", 100*float64(n)/float64(max(n+d.load.missed, 1))))
	line("of them at a later try", d.load.unsure, fmt.Sprintf("%d tries without an answer, %d refused",
		d.load.cut, d.load.refused))
	line("lost", lost)
	line("dead", dead)
	line("states that went backwards", back)
	line("requests", len(h.Attempts))
	line("most in any 60 s", window, fmt.Sprintf("of %d", d.perMinute))
	_ = w.Flush()
}
