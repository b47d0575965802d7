package relay

import (
	"time"

	"golang.org/x/time/rate"
)

// window is the span over which targets count requests. PagerDuty looks back 60 s (developer docs, Events API v2: Rate
// Limits); the second on top absorbs the jitter between our clock and the moment a request is counted.
const window = 61 * time.Second

// A budget keeps the requests of a lane within what its target allows. It has no clock: time is given.
//
// A token bucket of burst b and rate r lets at most b + 60r requests pass in a minute, so "burst 120 and 2 a second" would
// allow 240. The burst is a twelfth of the allowance and the rate is what is left: the bound is exact, nine tenths of
// the allowance can be used, and no request waits behind a whole minute's burst, as it would in a sliding log.
type budget struct {
	perMinute int
	limiter   *rate.Limiter
	full      rate.Limit // the rate without any 429
	paused    time.Time  // no request before
	pause     time.Duration
	lowered   time.Time // when the rate last changed
}

const (
	firstPause = 30 * time.Second // PagerDuty asks for 30 s (Rate Limits) to a few minutes (Overview)
	maxPause   = 4 * time.Minute
	raiseEvery = time.Minute
)

func newBudget(perMinute int, now time.Time) *budget {
	b := &budget{perMinute: perMinute}
	burst := max(1, perMinute/12)
	b.full = rate.Limit(float64(perMinute-burst+1) / window.Seconds())
	b.limiter = rate.NewLimiter(b.full, burst)
	// A bucket that starts empty cannot double the burst over a restart, however often the process is killed.
	b.limiter.AllowN(now, burst)
	return b
}

// take spends one request if there is one to spend at now, and otherwise says when to ask again.
func (b *budget) take(now time.Time) (ok bool, again time.Time) {
	if now.Before(b.paused) {
		return false, b.paused
	}
	b.raise(now)
	if b.limiter.AllowN(now, 1) {
		return true, time.Time{}
	}
	missing := 1 - b.limiter.TokensAt(now)
	return false, now.Add(max(time.Duration(missing/float64(b.limiter.Limit())*float64(time.Second)), time.Millisecond))
}

// throttled pauses the lane after a 429 and halves the rate, down to a tenth: the target's allowance is not ours to know.
func (b *budget) throttled(now time.Time, delay time.Duration) {
	if delay <= 0 {
		b.pause = min(max(2*b.pause, firstPause), maxPause)
		delay = b.pause
	}
	if until := now.Add(delay); until.After(b.paused) {
		b.paused = until
	}
	b.limiter.SetLimitAt(now, max(b.limiter.Limit()/2, b.full/10))
	b.lowered = now
}

// succeeded ends the doubling of pauses.
func (b *budget) succeeded() { b.pause = 0 }

// raise gives a tenth of the full rate back for each quiet minute.
func (b *budget) raise(now time.Time) {
	for b.limiter.Limit() < b.full && now.Sub(b.lowered) >= raiseEvery {
		b.lowered = b.lowered.Add(raiseEvery)
		b.limiter.SetLimitAt(now, min(b.limiter.Limit()+b.full/10, b.full))
	}
}
