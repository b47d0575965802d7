package relay

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/guance-relay/guance-relay/relay/store"
)

// A Pause is a pause of a lane that an operator has set, see [Relay.Pause].
type Pause struct {
	By     string    `json:"by"`
	Reason string    `json:"reason,omitempty"`
	At     time.Time `json:"at"`    // when it was set
	Until  time.Time `json:"until"` // when it ends by itself
}

const (
	// MaxPause is the longest pause of [Relay.Pause].
	MaxPause = 24 * time.Hour
	// pauseText is how many characters of By and Reason are kept.
	pauseText = 200
)

// Pause stops a lane from sending for a time. What is in flight ends. Events are accepted, and
// replace older ones and expire, as always. by is who asks for it, and reason why, for [LaneStats]
// and the log; each is cut after 200 characters. A second Pause replaces the first.
//
// The pause is durable before Pause returns. It goes on after a restart, and on another node. Its
// end is a time of the store's clock: a wall clock that is set does not move it, and time in which
// the relay does not run does not count.
//
// Pause fails with [ErrNoLane] if there is no such lane. Before Run, it waits. After Run, it fails.
// After [store.ErrUnavailable] the pause may be in the store, and count from the next start on:
// pause or resume again.
func (r *Relay) Pause(
	ctx context.Context, name string, d time.Duration, by, reason string,
) error {
	if d <= 0 || d > MaxPause {
		return fmt.Errorf("relay: lane %q: a pause of %v; it must be above 0 and at most %v", name, d,
			MaxPause)
	}
	return r.setHold(ctx, name, "pausing", command{Do: doPause, For: d, By: by, Reason: reason})
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
		var p store.Pause
		if c.Do == doPause {
			p = store.Pause{
				Until: l.clock.store.Clock() + c.For, By: head(c.By, pauseText),
				Reason: head(c.Reason, pauseText), At: l.clock.wall(),
			}
		}
		if err := l.owned.SetPause(context.WithoutCancel(ctx), p); err != nil {
			return true, err
		}
		l.hold = hold{p}
		if c.Do == doResume {
			l.log.Info("relay: a lane was resumed", "by", c.By)
			return true, nil
		}
		l.log.Warn("relay: a lane was paused; it sends nothing until then", "by", p.By,
			"reason", p.Reason, "until", l.clock.shown(l.hold.until()).UTC().Format(time.RFC3339))
		return true, nil
	})
}

// A hold is the pause of a lane. The zero hold is over.
type hold struct{ store.Pause }

// until returns when the pause ends, by the store's clock.
func (h hold) until() time.Time { return atClock(h.Until) }

// holds reports whether the lane is paused.
func (h hold) holds(now time.Time) bool { return now.Before(h.until()) }

// shown returns the pause for people, with its end by the store's clock; nil if there is none.
func (h hold) shown(now time.Time) *Pause {
	if !h.holds(now) {
		return nil
	}
	return &Pause{By: h.By, Reason: h.Reason, At: h.At, Until: h.until()}
}

// words say that a lane is paused.
func (h hold) words() string {
	if h.Reason == "" {
		return "the lane was paused by " + h.By
	}
	return "the lane was paused by " + h.By + ": " + h.Reason
}

// readHold finds the pause that an earlier owner of the lane has set. A pause that cannot be read
// must not keep alerts back: it counts as none.
func (l *lane) readHold(ctx context.Context) error {
	p, err := l.owned.Pause(ctx)
	if errors.Is(err, store.ErrDamaged) {
		l.log.Error("relay: the pause of a lane cannot be read; the lane is not paused", "error",
			err.Error())
		err = nil
	}
	if l.hold = (hold{p}); err == nil && l.hold.holds(l.clock.now()) {
		l.log.Warn("relay: a lane is still paused", "by", p.By, "reason", p.Reason,
			"until", l.clock.shown(l.hold.until()).UTC().Format(time.RFC3339))
	}
	return err
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
