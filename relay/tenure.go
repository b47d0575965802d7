package relay

import (
	"context"
	"errors"
	"fmt"
	"sync"
)

// own acquires the lanes of an account and runs them until ctx ends or the store fails. After a
// failure it calls stop, which stops the other accounts.
func (r *Relay) own(ctx context.Context, a *account, stop func()) error {
	lease, err := r.store.Acquire(ctx, a.group())
	if err != nil {
		for _, l := range a.lanes {
			close(l.ended)
		}
		if ctx.Err() != nil { // stopped before it began
			return nil
		}
		stop()
		return fmt.Errorf("relay: acquiring the lanes of account %q: %w", a.group().Name, err)
	}
	a.budget = newBudget(a.perMinute, r.clock.now())
	errs := make([]error, len(a.lanes))
	var wg sync.WaitGroup
	for i, l := range a.lanes {
		wg.Go(func() {
			if errs[i] = l.run(ctx, r.store, lease.Lane(l.name)); errs[i] != nil {
				l.log.Error("relay: a lane stopped", "error", errs[i].Error())
				stop()
			}
		})
	}
	wg.Wait()
	return errors.Join(append(errs, lease.Release())...)
}
