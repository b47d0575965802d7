package pagerdutytest

import (
	"context"
	"fmt"
)

// Wait returns nil when cond reports true, or an error that wraps the cause of ctx. It calls cond
// after each change of the Fake; cond may call the Fake's methods. It does not poll, so inside
// testing/synctest the clock of the bubble moves on. Outside a bubble give ctx a deadline, or a
// failing test hangs.
func (f *Fake) Wait(ctx context.Context, cond func() bool) error {
	if err := f.wait(ctx, cond); err != nil {
		return fmt.Errorf("pagerdutytest: the condition did not become true: %w", err)
	}
	return nil
}

// WaitRequests waits for n requests in all, whatever the answers were.
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

// WaitOpen waits until an incident of the dedup key is open, under any routing key.
func (f *Fake) WaitOpen(ctx context.Context, dedupKey string) error {
	var all, open int
	err := f.wait(ctx, func() bool { all, open = f.state(dedupKey); return open > 0 })
	if err != nil {
		return fmt.Errorf("pagerdutytest: no incident of %q is open; it had %d: %w", dedupKey, all, err)
	}
	return nil
}

// WaitResolved waits until there has been an incident of the dedup key, and none is open.
func (f *Fake) WaitResolved(ctx context.Context, dedupKey string) error {
	return f.waitResolved(ctx, dedupKey, fmt.Sprintf(" of %q", dedupKey))
}

// WaitAllResolved waits until there has been an incident and none is open.
func (f *Fake) WaitAllResolved(ctx context.Context) error { return f.waitResolved(ctx, "", "") }

func (f *Fake) waitResolved(ctx context.Context, dedupKey, of string) error {
	var all, open int
	err := f.wait(ctx, func() bool { all, open = f.state(dedupKey); return all > 0 && open == 0 })
	if err != nil {
		return fmt.Errorf("pagerdutytest: of %d incidents%s %d are open: %w", all, of, open, err)
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

func (f *Fake) wait(ctx context.Context, cond func() bool) error {
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
		if cond() {
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
