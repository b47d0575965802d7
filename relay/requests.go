package relay

import (
	"context"
	"fmt"
	"sync/atomic"
	"time"
)

// requests takes the requests of one attempt from the budget. The lane has taken the first.
type requests struct {
	lane    *lane
	begun   atomic.Bool // wait was called
	refused atomic.Bool // the budget had no request in time
}

// wait implements [Delivery.Wait].
func (r *requests) wait(ctx context.Context) error {
	first := !r.begun.Swap(true)
	for {
		if !r.lane.leaseLasts() {
			r.refused.Store(true)
			return errLeaseEnds
		}
		if first {
			return nil
		}
		now := r.lane.clock.now()
		ok, again := r.lane.account.budget.take(now)
		if ok {
			return nil
		}
		if deadline, bounded := ctx.Deadline(); bounded && again.Sub(now) > time.Until(deadline) {
			r.refused.Store(true)
			return fmt.Errorf("relay: lane %q: the budget has no request in time", r.lane.name)
		}
		timer := time.NewTimer(again.Sub(now))
		select {
		case <-ctx.Done():
			timer.Stop()
			r.refused.Store(true)
			return context.Cause(ctx)
		case <-timer.C:
		}
	}
}
