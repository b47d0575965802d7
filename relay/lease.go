package relay

import (
	"errors"
	"time"
)

const (
	// leaseMargin is how much of the lease must be left when a request begins. The request takes
	// time, and after the end of the lease another node may send what is newer.
	leaseMargin = time.Second
	// leaseAgain is when a lane looks again whether its lease was renewed.
	leaseAgain = 100 * time.Millisecond
)

var errLeaseEnds = errors.New("relay: the lease of the lane ends; another node may own it soon")

// leaseLasts reports whether a request may begin. It asks the monotonic clock and the wall clock:
// the one stands still while a machine sleeps, and the other may be set. A roll-back of the engine
// ends a lease before its time.
func (l *lane) leaseLasts() bool {
	select {
	case <-l.lease.Lost():
		return false
	default:
	}
	until := l.lease.Until()
	if until.IsZero() {
		return true
	}
	now := time.Now()
	return until.Sub(now) >= leaseMargin && until.Round(0).Sub(now.Round(0)) >= leaseMargin
}
