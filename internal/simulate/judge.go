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
	for _, l := range w.lanes[0] {
		if err := w.judgeLane(l, settled); err != nil {
			return fmt.Errorf("lane %s: %w", l.Name, err)
		}
	}
	rules := &relaytest.RoutingRules{Configurations: w.configurations, LaneLimit: w.plan.LaneLimit}
	if err := w.store.CheckRouting(rules); err != nil {
		return w.failure(err)
	}
	for _, key := range []string{firstKey, secondKey, thirdKey} {
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
	for _, a := range w.store.Appended() {
		kept[a.Event.ID] = true
	}
	for id := range w.answered {
		if !kept[id] && (w.engine == nil || !w.engine.lost[id]) {
			return fmt.Errorf("promise 1 is broken: event %s was answered with 202 and is not there", id)
		}
	}
	return nil
}

// mostInMinute returns the largest number of requests with a routing key within a minute, of all
// lanes.
func (w *world) mostInMinute(key string) (most int) {
	var starts []time.Time
	for lane, attempts := range w.attempts {
		for i, a := range attempts {
			if w.keys[lane][i] == key {
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

// shown returns what PagerDuty shows at the end of a lane, for the problems of which it took the
// last request. If that failed, a recovery was not sent a second time, and late requests may show.
// A problem that was sent with two routing keys is left out: it has an incident under each.
func (w *world) shown(lane int, attempts []relaytest.Attempt) map[string]guance.State {
	open := make(map[string]bool)
	for _, i := range w.fake.Open() {
		open[i.Key+i.DedupKey] = true
	}
	keys, twoKeys := make(map[string]string), make(map[string]bool)
	for i, a := range w.attempts[lane] {
		key := pagerdutytest.KeyLabel(w.keys[lane][i])
		if was, ok := keys[a.Problem]; ok && was != key {
			twoKeys[a.Problem] = true
		}
		keys[a.Problem] = key
	}
	shown := make(map[string]guance.State)
	for _, a := range attempts {
		shown[a.Problem] = guance.StateRecovered
		if open[keys[a.Problem]+a.Problem] {
			shown[a.Problem] = guance.StateProblem
		}
		if a.Answer != relaytest.Taken || twoKeys[a.Problem] {
			delete(shown, a.Problem)
		}
	}
	return shown
}

func (w *world) judgeLane(l Lane, settled bool) error {
	h, err := w.store.LaneHistory(context.Background(), l.Name)
	if err != nil {
		return err
	}
	// The budget is that of a routing key, and a lane may have had two: see mostInMinute.
	rules := &relaytest.Rules{PerMinute: -1, MaxAge: w.plan.MaxAge - time.Second,
		InFlight: 3*w.plan.Concurrency + 8}
	if l.Key == "" {
		h.Attempts = w.promised(w.chats[l.ID].Attempts(), h.Accepted)
		// it has hardly a backlog
		rules = &relaytest.Rules{Every: true, PerMinute: 6000, InFlight: 1000}
	} else {
		sent := w.attempts[l.ID]
		if h.Attempts, err = accepted(w.promised(sent, h.Accepted), h.Accepted); err != nil {
			return err
		}
		h.Ends = w.shown(l.ID, h.Attempts)
		w.forget(h.Ends, sent)
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
	for _, l := range w.lanes[0] {
		h, e := w.store.LaneHistory(context.Background(), l.Name)
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
