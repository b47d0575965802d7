package relay

import (
	"context"
	"fmt"
	"time"
)

// A hold is a pause of a lane that an operator has set.
type hold struct {
	until time.Time // of the store's clock
	by    string
}

// MaxPause is the longest pause of [Relay.Pause].
const MaxPause = 24 * time.Hour

// Pause stops a lane from sending for a time. What is in flight ends. Events are accepted, and
// replace older ones and expire, as always. by is who asks for it, for [LaneStats] and the log. A
// second Pause replaces the first. A pause does not survive the end of the process, nor that of the
// ownership of another node: it ends early rather than late.
//
// Pause fails with [ErrNoLane] if there is no such lane. Before Run, it waits. After Run, it fails.
func (r *Relay) Pause(ctx context.Context, name string, d time.Duration, by string) error {
	if d <= 0 || d > MaxPause {
		return fmt.Errorf("relay: lane %q: a pause of %v; it must be above 0 and at most %v", name, d,
			MaxPause)
	}
	return r.setHold(ctx, name, "pausing", command{Do: doPause, For: d, By: by})
}

// Resume ends a pause of [Relay.Pause]. A pause that the target asked for stays. It fails as Pause
// does.
func (r *Relay) Resume(ctx context.Context, name, by string) error {
	return r.setHold(ctx, name, "resuming", command{Do: doResume, By: by})
}

func (r *Relay) setHold(ctx context.Context, name, doing string, c command) error {
	if r.standsBy(name) {
		if _, err := r.ask(ctx, name, c); err != nil {
			return fmt.Errorf("relay: lane %q: %s: %w", name, doing, err)
		}
		return nil
	}
	return r.onLane(ctx, name, doing, func(l *lane) (bool, error) {
		l.hold = hold{}
		if c.Do == doResume {
			l.log.Info("relay: a lane was resumed", "by", c.By)
			return true, nil
		}
		l.hold = hold{l.clock.now().Add(c.For), c.By}
		l.log.Warn("relay: a lane was paused; it sends nothing until then", "by", c.By,
			"until", l.clock.shown(l.hold.until).UTC().Format(time.RFC3339))
		return true, nil
	})
}

// SendNow ends the backoff of a pending entry and gives its problem the highest rank, until the
// entry has ended. Order, budget and pauses hold: earlier entries of the problem go first, and a
// target that is down still gets one request at a time. SendNow fails with [ErrInFlight] if the
// entry is being sent or was delivered, with [store.ErrNotFound] if it is not pending, and
// otherwise as [Relay.Pause] does.
func (r *Relay) SendNow(ctx context.Context, name string, seq uint64) error {
	if r.standsBy(name) {
		return r.elsewhere(ctx, name, "sending entry", command{Do: doSendNow, Seq: seq})
	}
	return r.onEntry(ctx, name, seq, "sending entry",
		func(ctx context.Context, l *lane, seq uint64) (bool, error) {
			e, err := l.owned.Load(ctx, seq)
			if err != nil {
				return true, err
			}
			if !l.schedule.SendNow(e.Problem, seq) {
				return true, l.whyNotWaiting(e)
			}
			return true, nil
		})
}
