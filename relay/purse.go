package relay

import (
	"context"
	"fmt"
	"sync/atomic"
	"time"
)

// A purse pays for the requests that a sink sends beyond the first of an attempt.
type purse struct {
	lane  *lane
	empty atomic.Bool // a request was refused
}

// spend implements [Delivery.Spend].
func (p *purse) spend(ctx context.Context) error {
	for {
		now := p.lane.clock.now()
		ok, again := p.lane.account.take(now)
		if ok {
			return nil
		}
		if deadline, bounded := ctx.Deadline(); bounded && again.After(deadline) {
			p.empty.Store(true)
			return fmt.Errorf("relay: lane %q: the budget has no request left before the attempt ends", p.lane.name)
		}
		timer := time.NewTimer(again.Sub(now))
		select {
		case <-ctx.Done():
			timer.Stop()
			p.empty.Store(true)
			return context.Cause(ctx)
		case <-timer.C:
		}
	}
}
