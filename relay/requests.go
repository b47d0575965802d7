package relay

import (
	"context"
	"fmt"
	"sync/atomic"
	"time"
)

// paidFor is how long after the lane has taken a request from the budget it may begin. One that
// begins later, as the process was stopped or the disk is slow, would count in another window. The
// bucket allows for one second, see internal/ratewindow.
const paidFor = time.Second

// requests takes the requests of one attempt from the budget. The lane has taken the first.
type requests struct {
	lane    *lane
	paid    time.Time   // when the lane took it
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
		now := r.lane.clock.now()
		if first && now.Sub(r.paid) <= paidFor {
			return nil
		}
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
