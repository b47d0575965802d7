package relay

import (
	"sync"
	"time"

	"golang.org/x/time/rate"

	"github.com/guance-relay/guance-relay/internal/ratewindow"
)

// A budget is a token bucket: one token is one request. It keeps the requests of an account within
// what the target allows in any 60 s, see internal/ratewindow. It has no clock. It is safe for
// concurrent use.
type budget struct {
	mu      sync.Mutex
	limiter *rate.Limiter
	latest  time.Time     // the latest time that the limiter has seen
	full    rate.Limit    // the rate without any 429
	until   time.Time     // the end of the pause
	since   time.Time     // the beginning of the pause
	pause   time.Duration // the last one that the budget chose; 0 once a request succeeded
	changed time.Time     // when the rate last changed
	probing bool          // no request has succeeded since the last 429
}

const (
	firstPause = 30 * time.Second // PagerDuty asks for 30 s (Rate Limits) to a few minutes (Overview)
	maxPause   = 4 * time.Minute
	// maxAsked bounds the pause that a target may ask for. A Retry-After of a day must not hold back
	// every page of a day.
	maxAsked   = 15 * time.Minute
	raiseEvery = time.Minute
)

// newBudget returns an empty bucket. If it were full, each restart would allow another burst.
func newBudget(perMinute int, now time.Time) *budget {
	limiter := ratewindow.New(perMinute)
	limiter.AllowN(now, limiter.Burst())
	return &budget{full: limiter.Limit(), limiter: limiter, latest: now}
}

// with returns b if its rate is perMinute, and otherwise an empty bucket with the pause of b.
// shared says that another node may have spent what b has saved: then the bucket is empty in any
// case. b may be nil.
func (b *budget) with(perMinute int, shared bool, now time.Time) *budget {
	next := newBudget(perMinute, now)
	if b == nil {
		return next
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.full == next.full && !shared {
		return b
	}
	next.until, next.since, next.pause, next.probing = b.until, b.since, b.pause, b.probing
	return next
}

// take spends one request. If there is none at now, it returns when to call again. All lanes that
// wait get the same time, so that none is preferred.
func (b *budget) take(now time.Time) (ok bool, again time.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	now = b.forward(now)
	b.raise(now)
	if again = b.next(now); !again.After(now) {
		ok = b.limiter.AllowN(now, 1)
	}
	return ok, again
}

// forward returns now, or the latest time that it was called with. A lane may come with a time from
// before it was held up, after another one. A limiter that sees an earlier time counts the time
// between the two once more.
func (b *budget) forward(now time.Time) time.Time {
	if now.Before(b.latest) {
		return b.latest
	}
	b.latest = now
	return now
}

// next returns when a request can be spent: now or later.
func (b *budget) next(now time.Time) time.Time {
	if now.Before(b.until) {
		return b.until
	}
	missing := 1 - b.limiter.TokensAt(now)
	if missing <= 0 {
		return now
	}
	wait := missing / float64(b.limiter.Limit()) * float64(time.Second)
	return now.Add(max(time.Duration(wait), time.Millisecond))
}

// limit returns how many requests may be in flight, at most n. After a 429 it is one until a
// request succeeds.
func (b *budget) limit(n int) int {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.probing {
		return 1
	}
	return n
}

// throttled takes a 429 to an attempt that began at the given time. It pauses for the delay that
// the target asked for, or for a time that doubles. It halves the rate, down to a tenth: PagerDuty
// adjusts its limit without saying so. Several 429s to attempts in flight together count once.
func (b *budget) throttled(began, now time.Time, delay time.Duration) {
	b.mu.Lock()
	defer b.mu.Unlock()
	pause := min(delay, maxAsked)
	same := !b.since.IsZero() && !began.After(b.since)
	if !same {
		if pause <= 0 {
			b.pause = min(max(2*b.pause, firstPause), maxPause)
			pause = b.pause
		}
		b.limiter.SetLimitAt(b.forward(now), max(b.limiter.Limit()/2, b.full/10))
		b.changed, b.since, b.probing = now, now, true
	}
	if until := now.Add(pause); until.After(b.until) {
		b.until = until
	}
}

// succeeded takes a success of a request that began at the given time.
func (b *budget) succeeded(began time.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if began.After(b.since) || b.since.IsZero() {
		b.pause, b.probing = 0, false
	}
}

// raise adds a tenth of the full rate for each minute without a 429.
func (b *budget) raise(now time.Time) {
	for b.limiter.Limit() < b.full && now.Sub(b.changed) >= raiseEvery {
		b.changed = b.changed.Add(raiseEvery)
		b.limiter.SetLimitAt(now, min(b.limiter.Limit()+b.full/10, b.full))
	}
}

// left returns how many requests can be spent at now.
func (b *budget) left(now time.Time) float64 {
	b.mu.Lock()
	defer b.mu.Unlock()
	if now.Before(b.until) {
		return 0
	}
	return max(b.limiter.TokensAt(now), 0)
}

// standing returns the end of the pause, when a request can be spent, and the present rate.
func (b *budget) standing(now time.Time) (paused, next time.Time, perMinute float64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.until, b.next(now), float64(b.limiter.Limit()) * ratewindow.Span.Seconds()
}
