package pagerdutytest

import (
	"slices"
	"time"
)

// Step is a change of an incident, for [Fake.OnStep].
type Step struct {
	Time     time.Time
	Action   string   // trigger, acknowledge or resolve
	Repeated bool     // a trigger of an alert that was already open
	Incident Incident // after the step
}

// OnStep calls observe for every later step of an incident: one after the other, in order, and
// without holding a lock, so that observe may call the Fake. A call may come after the request that
// caused the step was answered, if another call is running.
func (f *Fake) OnStep(observe func(Step)) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.observers = append(f.observers, observe)
}

// notify passes the pending steps to the observers. Only one goroutine at a time does so: that
// keeps the order, and lets an observer send events itself.
func (f *Fake) notify() {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.notifying {
		return
	}
	f.notifying = true
	defer func() { f.notifying = false }()
	for len(f.pending) > 0 {
		step := f.pending[0]
		f.pending = f.pending[1:]
		observers := slices.Clone(f.observers)
		f.mu.Unlock()
		for _, observe := range observers {
			observe(step)
		}
		f.mu.Lock()
	}
}
