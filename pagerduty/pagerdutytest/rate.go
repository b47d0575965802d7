package pagerdutytest

import (
	"slices"
	"time"
)

// PagerDuty's rate limit: "approximately 120" requests per integration key in the last 60 seconds
// (PagerDuty developer docs, Events API v2: Rate Limits).
const (
	defaultLimit = 120
	window       = time.Minute
)

// SetRateLimit sets how many requests are accepted per routing key in any 60 seconds, from the next
// request on. Zero or negative: no limit. PagerDuty raises the limit for some accounts, and may
// lower it.
func (f *Fake) SetRateLimit(perMinute int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.limit = perMinute
}

// arrive records a request that named a key, valid or not.
func (f *Fake) arrive(e event, now time.Time) {
	if key := e.text("routing_key"); wellFormed(key) {
		l := f.keyState(key)
		l.arrivals = append(l.arrivals, now)
	}
}

// take accepts a request if the rate limit allows it. A refused request is not counted. PagerDuty
// does not say whether it counts those; if it did, a sender that keeps trying would never recover,
// and no report tells of that.
func (l *keyState) take(now time.Time, limit int) bool {
	old := 0
	for old < len(l.taken) && now.Sub(l.taken[old]) >= window {
		old++
	}
	l.taken = l.taken[old:]
	if limit > 0 && len(l.taken) >= limit {
		return false
	}
	l.taken = append(l.taken, now)
	return true
}

// MaxPerWindow returns the highest number of requests under one routing key within any 60 seconds,
// whatever the answers were. It checks every window, not only those that begin on a minute. Of two
// requests exactly 60 seconds apart a window has one. A request whose body was not read could have
// had any key, and counts for each.
func (f *Fake) MaxPerWindow() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	most := mostInWindow(f.unread)
	for _, l := range f.keys {
		arrivals := slices.Concat(l.arrivals, f.unread)
		slices.SortFunc(arrivals, time.Time.Compare)
		most = max(most, mostInWindow(arrivals))
	}
	return most
}

// mostInWindow returns the highest number of the sorted times in one window. It checks the windows
// that end with one of the times; no other window has more.
func mostInWindow(times []time.Time) (most int) {
	first := 0
	for i, t := range times {
		for t.Sub(times[first]) >= window {
			first++
		}
		most = max(most, i-first+1)
	}
	return most
}
