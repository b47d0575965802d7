package relay

import (
	"time"

	"golang.org/x/time/rate"

	"github.com/guance-relay/guance-relay/internal/ratewindow"
)

// A budget keeps the requests of a lane within what its target allows. One token is one request on the wire. It has no clock: time is
// given.
// How a token bucket keeps a window is said in internal/ratewindow.
type budget struct {
	limiter *rate.Limiter
	full    rate.Limit    // the rate without any 429
	until   time.Time     // paused, no request before
	since   time.Time     // when the pause was imposed
	pause   time.Duration // the last one that the lane chose; 0 once a request went through
	lowered time.Time     // when the rate last changed
	probing bool          // no request went through since the last 429
}

const (
	firstPause = 30 * time.Second // PagerDuty asks for 30 s (Rate Limits) to a few minutes (Overview)
	maxPause   = 4 * time.Minute
	// maxAsked caps what a target may ask for: a lane that was told to come back tomorrow looks again before anybody misses a page.
	maxAsked   = 15 * time.Minute
	raiseEvery = time.Minute
)

// newBudget starts with an empty bucket: a restart cannot double the burst then, however often the process is killed.
func newBudget(perMinute int, now time.Time) *budget {
	limiter := ratewindow.New(perMinute)
	limiter.AllowN(now, limiter.Burst())
	return &budget{full: limiter.Limit(), limiter: limiter}
}

// take spends one request if there is one to spend at now, and otherwise says when to ask again.
func (b *budget) take(now time.Time) (ok bool, again time.Time) {
	b.raise(now)
	if again = b.next(now); !again.After(now) {
		ok = b.limiter.AllowN(now, 1)
	}
	return ok, again
}

// next returns when there is a request to spend: now, or the time to ask again.
func (b *budget) next(now time.Time) time.Time {
	if now.Before(b.until) {
		return b.until
	}
	missing := 1 - b.limiter.TokensAt(now)
	if missing <= 0 {
		return now
	}
	return now.Add(max(time.Duration(missing/float64(b.limiter.Limit())*float64(time.Second)), time.Millisecond))
}

// limit returns how many requests may be in flight, of at most n: one, until the target has taken one again after a 429.
func (b *budget) limit(n int) int {
	if b.probing {
		return 1
	}
	return n
}

// throttled takes a 429 of an attempt that began at the given time: it pauses the lane, for as long as the target asks or for a time
// that doubles, and halves the rate, down to a tenth. The target's allowance is not ours to know: PagerDuty adjusts it as it goes. What was in
// flight together is one 429 and not eight.
func (b *budget) throttled(began, now time.Time, asked time.Duration) {
	pause := min(asked, maxAsked)
	same := !b.since.IsZero() && !began.After(b.since)
	if !same {
		if pause <= 0 {
			b.pause = min(max(2*b.pause, firstPause), maxPause)
			pause = b.pause
		}
		b.limiter.SetLimitAt(now, max(b.limiter.Limit()/2, b.full/10))
		b.lowered, b.since, b.probing = now, now, true
	}
	if until := now.Add(pause); until.After(b.until) {
		b.until = until
	}
}

// succeeded takes a request that went through and was begun at the given time.
func (b *budget) succeeded(began time.Time) {
	if began.After(b.since) || b.since.IsZero() {
		b.pause, b.probing = 0, false
	}
}

// raise gives a tenth of the full rate back for each quiet minute.
func (b *budget) raise(now time.Time) {
	for b.limiter.Limit() < b.full && now.Sub(b.lowered) >= raiseEvery {
		b.lowered = b.lowered.Add(raiseEvery)
		b.limiter.SetLimitAt(now, min(b.limiter.Limit()+b.full/10, b.full))
	}
}

// perMinute is the rate that the lane keeps now, in requests a minute.
func (b *budget) perMinute() float64 { return float64(b.limiter.Limit()) * ratewindow.Span.Seconds() }
