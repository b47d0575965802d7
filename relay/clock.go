package relay

import (
	"context"
	"log/slog"
	"time"

	"github.com/guance-relay/guance-relay/relay/store"
)

const (
	// lookEvery is how often a relay looks whether somebody has set the wall clock.
	lookEvery = 10 * time.Second
	// stepOver is how far the wall clock must have moved against the store's clock within lookEvery. NTP slews by 5 ms in that time at
	// most (adjtime(2): 500 ppm).
	stepOver = 2 * time.Second
)

// A clock tells a relay the time.
//
// What waits, expires, ages or is put in order goes by now, which is the store's own time: machines boot with a date that is years off
// and correct it later, and neither may delay, expire or erase anything. The wall clock is for what people read. A time of now stands near
// 1970, so that one that was not turned into wall time is seen at once. All lanes of a relay have one clock, as some share a budget.
type clock struct {
	store store.Store
	wall  func() time.Time
}

func newClock(db store.Store, wall func() time.Time) *clock {
	if wall == nil {
		wall = time.Now
	}
	// Without the monotonic reading: a difference of two wall times is then what their dates say.
	return &clock{db, func() time.Time { return wall().Round(0) }}
}

// now returns the store's time.
func (c *clock) now() time.Time { return moment(int64(c.store.Clock())) }

// ahead returns how far the wall clock is ahead of now.
func (c *clock) ahead() time.Duration { return c.wall().Sub(c.now()) }

// shown returns a time of now as wall time, by what the wall clock says at present. The zero time stays zero.
func (c *clock) shown(t time.Time) time.Time { return shift(t, c.ahead()) }

// shift moves a time, unless it is zero.
func shift(t time.Time, by time.Duration) time.Time {
	if t.IsZero() {
		return t
	}
	return t.Add(by)
}

// watch logs each step of the wall clock, until ctx ends.
func (c *clock) watch(ctx context.Context, log *slog.Logger) {
	ticker := time.NewTicker(lookEvery)
	defer ticker.Stop()
	for before := c.ahead(); ; {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		ahead := c.ahead()
		if step := ahead - before; step.Abs() > stepOver {
			log.Warn("relay: the wall clock was set; what waits is not affected, but the times in log, history and figures before and after do not agree",
				"by", step.Round(time.Millisecond).String())
		}
		before = ahead
	}
}
