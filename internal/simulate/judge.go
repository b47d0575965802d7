package simulate

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/guance-relay/guance-relay/guance"
	"github.com/guance-relay/guance-relay/pagerduty/pagerdutytest"
	"github.com/guance-relay/guance-relay/relay/relaytest"
)

// A Failure is a broken promise, with what happened to the problem.
type Failure struct {
	Err      error
	Timeline string
}

func (f *Failure) Error() string { return f.Err.Error() + "\n" + f.Timeline }

func (f *Failure) Unwrap() error { return f.Err }

// judge returns the first promise that was broken.
func (w *world) judge(settled bool) error {
	if err := errors.Join(w.stops...); err != nil {
		return err
	}
	if err := w.judgeAnswers(); err != nil {
		return err
	}
	for _, l := range w.lanes {
		if err := w.judgeLane(l, settled); err != nil {
			return fmt.Errorf("lane %s: %w", l.Name, err)
		}
	}
	rules := &relaytest.RoutingRules{Configurations: w.configurations, LaneLimit: w.plan.LaneLimit}
	if err := w.disk.store.CheckRouting(rules); err != nil {
		return w.failure(err)
	}
	for _, key := range w.lanes.keys() {
		if n := w.mostInMinute(key); n > w.plan.PerMinute {
			return fmt.Errorf("promise 5 is broken: the lanes of key %s sent %d requests within a minute, "+
				"and %d are allowed", key[len(key)-1:], n, w.plan.PerMinute)
		}
	}
	if n := w.fake.MaxPerWindow(); n > w.plan.PerMinute {
		return fmt.Errorf("promise 5 is broken: PagerDuty counts %d requests within a minute, "+
			"and %d are allowed", n, w.plan.PerMinute)
	}
	return nil
}

// judgeAnswers tests that the store took what was answered with 202.
func (w *world) judgeAnswers() error {
	kept := make(map[string]bool)
	for _, a := range w.disk.store.Appended() {
		kept[a.Event.ID] = true
	}
	for id := range w.answered {
		if !kept[id] {
			return fmt.Errorf("promise 1 is broken: event %s was answered with 202 and is not there", id)
		}
	}
	return nil
}

// mostInMinute returns the largest number of requests with a routing key within a minute, of all
// lanes that use it.
func (w *world) mostInMinute(key string) (most int) {
	var starts []time.Time
	for _, l := range w.lanes {
		if l.Key == key {
			for _, a := range w.attempts[l.ID] {
				starts = append(starts, a.Start)
			}
		}
	}
	slices.SortFunc(starts, time.Time.Compare)
	first := 0
	for i, at := range starts {
		for at.Sub(starts[first]) >= time.Minute {
			first++
		}
		most = max(most, i-first+1)
	}
	return most
}

// shown returns what PagerDuty shows at the end under a routing key, for the problems of which it
// took the last request. If the last request failed, a recovery was not sent a second time, and
// late requests may show.
func (w *world) shown(key string, attempts []relaytest.Attempt) map[string]guance.State {
	open := make(map[string]bool)
	for _, i := range w.fake.Open() {
		if i.Key == pagerdutytest.KeyLabel(key) {
			open[i.DedupKey] = true
		}
	}
	shown := make(map[string]guance.State)
	for _, a := range attempts {
		shown[a.Problem] = guance.StateRecovered
		if open[a.Problem] {
			shown[a.Problem] = guance.StateProblem
		}
		if a.Answer != relaytest.Taken {
			delete(shown, a.Problem)
		}
	}
	return shown
}

func (w *world) judgeLane(l Lane, settled bool) error {
	h, err := w.disk.store.LaneHistory(context.Background(), l.Name)
	if err != nil {
		return err
	}
	rules := &relaytest.Rules{PerMinute: w.plan.PerMinute, MaxAge: w.plan.MaxAge - time.Second,
		InFlight: 3*w.plan.Concurrency + 8}
	if l.Key == "" {
		h.Attempts = w.chats[l.ID].Attempts()
		// it has hardly a backlog
		rules = &relaytest.Rules{Every: true, PerMinute: 6000, InFlight: 1000}
	} else {
		if h.Attempts, err = accepted(w.attempts[l.ID], h.Accepted); err != nil {
			return err
		}
		h.Ends = w.shown(l.Key, h.Attempts)
	}
	if !settled {
		return fmt.Errorf("promise 2 is broken: a day after the last trouble entries are "+
			"pending: %+v", w.now().relay.Stats())
	}
	if err := h.Check(rules); err != nil {
		f := &Failure{Err: err}
		if v, ok := errors.AsType[*relaytest.Violation](err); ok {
			f.Timeline = h.Timeline(v.Problem)
		}
		return f
	}
	return nil
}

// accepted completes attempts, of which only the IDs are known.
func accepted(
	attempts []relaytest.Attempt, accepted []relaytest.Accepted,
) ([]relaytest.Attempt, error) {
	byID := make(map[string]relaytest.Accepted)
	for _, e := range accepted {
		byID[e.ID] = e
	}
	for i := range attempts {
		a := &attempts[i]
		e, ok := byID[a.ID]
		if !ok {
			return nil, fmt.Errorf("promise 2 is broken: event %s was sent at %s and the lane never had it",
				a.ID, a.Start.UTC().Format(time.TimeOnly))
		}
		a.Seq, a.Problem, a.State, a.Level = e.Seq, e.Problem, e.State, e.Level
	}
	return attempts, nil
}

// failure adds what happened to the problem in each lane.
func (w *world) failure(err error) error {
	f := &Failure{Err: err}
	v, ok := errors.AsType[*relaytest.Violation](err)
	if !ok {
		return err
	}
	for _, l := range w.lanes {
		h, e := w.disk.store.LaneHistory(context.Background(), l.Name)
		if e != nil {
			return errors.Join(err, e)
		}
		if h.Attempts = w.chats[l.ID].Attempts(); l.Key != "" {
			h.Attempts = w.attempts[l.ID]
		}
		f.Timeline += "lane " + l.Name + ":\n" + h.Timeline(v.Problem)
	}
	return f
}
