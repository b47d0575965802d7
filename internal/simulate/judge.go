package simulate

import (
	"errors"
	"fmt"
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
	for _, lane := range []string{pager, audit} {
		if err := w.judgeLane(lane, settled); err != nil {
			return fmt.Errorf("lane %s: %w", lane, err)
		}
	}
	if n := w.fake.MaxPerWindow(); n > w.plan.PerMinute {
		return fmt.Errorf("promise 5 is broken: PagerDuty counts %d requests within a minute, "+
			"and %d are allowed", n, w.plan.PerMinute)
	}
	return nil
}

// shown returns what PagerDuty shows at the end, for the problems of which it took the last
// request. If the last request failed, a recovery was not sent a second time, and late requests may
// show.
func (w *world) shown(attempts []relaytest.Attempt) map[string]guance.State {
	shown := make(map[string]guance.State)
	for _, a := range attempts {
		shown[a.Problem] = guance.StateRecovered
		if i, ok := w.fake.Incident(a.Problem); ok && i.Status != pagerdutytest.Resolved {
			shown[a.Problem] = guance.StateProblem
		}
		if a.Answer != relaytest.Taken {
			delete(shown, a.Problem)
		}
	}
	return shown
}

func (w *world) judgeLane(lane string, settled bool) error {
	h := &relaytest.History{Accepted: w.disk.kept(lane)}
	var err error
	if h.Settled, err = w.disk.settled(lane, h.Accepted); err != nil {
		return err
	}
	rules := &relaytest.Rules{PerMinute: w.plan.PerMinute, MaxAge: w.plan.MaxAge - time.Second,
		InFlight: 3*w.plan.Concurrency + 8}
	kept := make(map[string]uint64)
	for _, a := range h.Accepted {
		kept[a.ID] = a.Seq
	}
	for id := range w.answered {
		if kept[id] == 0 {
			return fmt.Errorf("promise 1 is broken: event %s was answered with 202 and is not "+
				"there", id)
		}
	}
	if lane == audit {
		h.Attempts = w.audit.Attempts()
		// it has hardly a backlog
		rules = &relaytest.Rules{Every: true, PerMinute: 6000, InFlight: 1000}
	} else {
		for _, a := range w.attempts {
			for _, e := range h.Accepted {
				if e.ID == a.ID {
					a.Seq, a.Problem, a.State, a.Level = e.Seq, e.Problem, e.State, e.Level
				}
			}
			if a.Seq == 0 {
				return fmt.Errorf("promise 2 is broken: event %s was sent and never kept", a.ID)
			}
			h.Attempts = append(h.Attempts, a)
		}
		h.Ends = w.shown(h.Attempts)
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
