package relay

import (
	"context"
	"log/slog"
	"time"

	"go.opentelemetry.io/otel/metric"

	"github.com/guance-relay/guance-relay/relay/store"
)

const (
	// watchEvery is how often the wall clock is compared with the store's clock.
	watchEvery = 10 * time.Second
	// maxDrift: a larger difference within watchEvery is a step. NTP slews by at most 5 ms in that
	// time (adjtime(2): 500 ppm).
	maxDrift = 2 * time.Second
)

// A clock has two times. Whatever waits, expires, ages or is sorted uses now, the store's own time:
// a machine may boot with a date that is years off and correct it later, and that must not delay,
// expire or erase anything. What people read uses the wall clock. A time of now is near 1970, so
// that one that is shown by mistake is noticed. The lanes of a relay share a clock as they share
// budgets.
type clock struct {
	store store.Store
	wall  func() time.Time
}

func newClock(db store.Store, wall func() time.Time) *clock {
	if wall == nil {
		wall = time.Now
	}
	// Round strips the monotonic reading, so that differences are those of the dates.
	return &clock{db, func() time.Time { return wall().Round(0) }}
}

// now returns the store's time.
func (c *clock) now() time.Time { return atClock(c.store.Clock()) }

// atClock returns a time of the store's clock as now does.
func atClock(d time.Duration) time.Time { return time.Unix(0, int64(d)).UTC() }

// ahead returns how far the wall clock is ahead of now.
func (c *clock) ahead() time.Duration { return c.wall().Sub(c.now()) }

// shown returns a time of now as wall time, by the present wall clock. The zero time stays zero.
func (c *clock) shown(t time.Time) time.Time { return shift(t, c.ahead()) }

// shift moves a time, unless it is zero.
func shift(t time.Time, by time.Duration) time.Time {
	if t.IsZero() {
		return t
	}
	return t.Add(by)
}

// watch logs and counts each step of the wall clock, until ctx ends.
func (c *clock) watch(ctx context.Context, log *slog.Logger, steps metric.Int64Counter) {
	ticker := time.NewTicker(watchEvery)
	defer ticker.Stop()
	for before := c.ahead(); ; {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		ahead := c.ahead()
		if step := ahead - before; step.Abs() > maxDrift {
			steps.Add(ctx, 1)
			log.Warn("relay: the wall clock was set; what waits is not affected, but times that are shown "+
				"from before and after do not agree", "by", step.Round(time.Millisecond).String())
		}
		before = ahead
	}
}
