package pagerdutytest

import (
	"context"
	"fmt"
	"slices"
)

// Wait returns nil once is reports true, or an error that wraps the cause of
// ctx. It asks again whenever anything happened to the Fake, and is may call
// its methods. There is no polling: inside testing/synctest the bubble's clock
// moves on. Outside give ctx a deadline, or a failing test will hang.
func (f *Fake) Wait(ctx context.Context, is func() bool) error {
	if err := f.wait(ctx, is); err != nil {
		return fmt.Errorf("pagerdutytest: what was waited for did not come: %w", err)
	}
	return nil
}

// WaitRequests waits for n requests in all, whatever they were answered.
func (f *Fake) WaitRequests(ctx context.Context, n int) error {
	came := 0
	err := f.wait(ctx, func() bool {
		f.mu.Lock()
		defer f.mu.Unlock()
		came = len(f.requests)
		return came >= n
	})
	if err != nil {
		return fmt.Errorf("pagerdutytest: %d of %d requests came: %w", came, n, err)
	}
	return nil
}

// WaitOpen waits until an incident of the dedup key is open, under whichever
// routing key.
func (f *Fake) WaitOpen(ctx context.Context, dedupKey string) error {
	err := f.wait(ctx, func() bool { _, open := f.state(dedupKey); return open > 0 })
	if err != nil {
		all, _ := f.state(dedupKey)
		return fmt.Errorf("pagerdutytest: no incident of %q is open; it had %d: %w", dedupKey, all, err)
	}
	return nil
}

// WaitResolved waits until there has been an incident of the dedup key, and
// none is open.
func (f *Fake) WaitResolved(ctx context.Context, dedupKey string) error {
	err := f.wait(ctx, func() bool { all, open := f.state(dedupKey); return all > 0 && open == 0 })
	if err != nil {
		all, open := f.state(dedupKey)
		return fmt.Errorf("pagerdutytest: of %d incidents of %q %d are open: %w", all, dedupKey, open, err)
	}
	return nil
}

// WaitAllResolved waits until there has been an incident and none is open.
func (f *Fake) WaitAllResolved(ctx context.Context) error {
	err := f.wait(ctx, func() bool { all, open := f.state(""); return all > 0 && open == 0 })
	if err != nil {
		all, open := f.state("")
		return fmt.Errorf("pagerdutytest: of %d incidents %d are open: %w", all, open, err)
	}
	return nil
}

// state counts the incidents of a dedup key, or of all if it is "".
func (f *Fake) state(dedupKey string) (all, open int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, i := range f.incidents {
		if dedupKey != "" && i.DedupKey != dedupKey {
			continue
		}
		all++
		if i.Status != Resolved {
			open++
		}
	}
	return all, open
}

func (f *Fake) wait(ctx context.Context, is func() bool) error {
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
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		f.mu.Lock()
		for f.version == seen && ctx.Err() == nil {
			f.changed.Wait()
		}
		f.mu.Unlock()
	}
}

// OnStep calls tell for every step in the life of an incident from now on:
// one after the other, in order, after the step and without any lock, so that
// tell may ask the Fake. It may run after the request that caused the step was
// answered, if another request is just being told of.
func (f *Fake) OnStep(tell func(Step)) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.observers = append(f.observers, tell)
}

// tell hands the pending steps out. One goroutine at a time does: that keeps
// their order, and an observer may send events itself.
func (f *Fake) tell() {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.telling {
		return
	}
	f.telling = true
	defer func() { f.telling = false }()
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
