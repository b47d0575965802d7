package pagerdutytest

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
)

func quoteJSON(s string) string {
	b, _ := json.Marshal(s) // a string always encodes
	return string(b)
}

// Incidents returns every incident, in the order in which they opened.
func (f *Fake) Incidents() []Incident {
	return f.pick(func(*Incident) bool { return true })
}

// Open returns the incidents that are not resolved, in the order in which
// they opened.
func (f *Fake) Open() []Incident {
	return f.pick(func(i *Incident) bool { return i.Status != Resolved })
}

// IncidentsOf returns every incident a dedup key ever opened, under whichever
// routing key, in the order in which they opened.
func (f *Fake) IncidentsOf(dedupKey string) []Incident {
	return f.pick(func(i *Incident) bool { return i.DedupKey == dedupKey })
}

// Incident returns the newest incident a dedup key opened.
func (f *Fake) Incident(dedupKey string) (Incident, bool) {
	all := f.IncidentsOf(dedupKey)
	if len(all) == 0 {
		return Incident{}, false
	}
	return all[len(all)-1], true
}

// Changes returns every change event taken, in order.
func (f *Fake) Changes() []ChangeEvent {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.changes)
}

func (f *Fake) pick(want func(*Incident) bool) (picked []Incident) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, i := range f.incidents {
		if want(i) {
			picked = append(picked, i.copy())
		}
	}
	return picked
}

// OnChange calls tell for every step in the life of an incident from now on:
// one after the other, in order, after the step and without any lock, so that
// tell may ask the Fake. It may run after the request that caused the step
// was answered, if another request is just being told of.
func (f *Fake) OnChange(tell func(Change)) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.observers = append(f.observers, tell)
}

// tell hands the pending changes out. One goroutine at a time does: that
// keeps their order, and an observer may send events itself.
func (f *Fake) tell() {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.telling {
		return
	}
	f.telling = true
	defer func() { f.telling = false }()
	for len(f.pending) > 0 {
		change := f.pending[0]
		f.pending = f.pending[1:]
		observers := slices.Clone(f.observers)
		f.mu.Unlock()
		for _, observe := range observers {
			observe(change)
		}
		f.mu.Lock()
	}
}

// Wait returns nil once is reports true, or the error of ctx. It asks again
// whenever anything happened to the Fake, and is may call its methods. There
// is no polling: inside testing/synctest the bubble's clock may move on.
func (f *Fake) Wait(ctx context.Context, is func() bool) error {
	stop := context.AfterFunc(ctx, func() {
		f.mu.Lock()
		defer f.mu.Unlock()
		f.changed.Broadcast()
	})
	defer stop()
	for {
		f.mu.Lock()
		seen := f.version
		f.mu.Unlock()
		if is() {
			return nil
		}
		f.mu.Lock()
		for f.version == seen && ctx.Err() == nil {
			f.changed.Wait()
		}
		f.mu.Unlock()
		if ctx.Err() != nil {
			return fmt.Errorf("pagerdutytest: what was waited for did not come: %w", context.Cause(ctx))
		}
	}
}

// WaitRequests waits for n requests in all.
func (f *Fake) WaitRequests(ctx context.Context, n int) error {
	return f.Wait(ctx, func() bool { return len(f.Requests()) >= n })
}

// WaitOpen waits until an incident of the dedup key is open.
func (f *Fake) WaitOpen(ctx context.Context, dedupKey string) error {
	return f.Wait(ctx, func() bool {
		i, ok := f.Incident(dedupKey)
		return ok && i.Status != Resolved
	})
}

// WaitResolved waits until the newest incident of the dedup key is resolved.
func (f *Fake) WaitResolved(ctx context.Context, dedupKey string) error {
	return f.Wait(ctx, func() bool {
		i, ok := f.Incident(dedupKey)
		return ok && i.Status == Resolved
	})
}

// WaitAllResolved waits until there has been an incident and none is open.
func (f *Fake) WaitAllResolved(ctx context.Context) error {
	return f.Wait(ctx, func() bool { return len(f.Incidents()) > 0 && len(f.Open()) == 0 })
}
