package relay

import (
	"context"
	"errors"
	"fmt"
	"sync"
)

// A tenure is the time in which the lanes of an account run.
type tenure struct {
	stop  context.CancelCauseFunc
	ended chan struct{} // closed when all lanes have ended
}

// errLanesChange ends a tenure that another one follows.
var errLanesChange = errors.New("relay: the lanes change")

// begin runs the lanes of an account until ctx ends, the tenure is stopped or the store fails. An
// error ends the run. r.change is taken.
func (r *Relay) begin(run *run, a *account) {
	ctx, stop := context.WithCancelCause(run.ctx)
	t := &tenure{stop, make(chan struct{})}
	run.tenures[a] = t
	run.wg.Go(func() {
		defer close(t.ended)
		defer stop(nil)
		if err := r.own(ctx, a, run.stop); err != nil {
			run.fail(err)
		}
	})
}

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
	a.budget = a.budget.with(a.perMinute, r.clock.now())
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
