package pagerdutytest

import (
	"slices"
	"time"
)

// defaultLimit and window are PagerDuty's: "approximately 120" requests per
// integration key, looking back over 60 seconds (PagerDuty developer docs,
// Events API v2: Rate Limits).
const (
	defaultLimit = 120
	window       = time.Minute
)

// SetRateLimit sets how many requests are taken per routing key in any 60
// seconds, from the next request on. 0 or less takes all. PagerDuty raises the
// limit for some accounts, and lowers it when it sees fit.
func (f *Fake) SetRateLimit(perMinute int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.limit = perMinute
}

// arrive notes a request that named a key, whatever else is wrong with it.
func (f *Fake) arrive(e event, now time.Time) {
	if key := e.text("routing_key"); wellFormed(key) {
		l := f.ledger(key)
		l.arrivals = append(l.arrivals, now)
	}
}

// take spends one of the key's requests. What is refused is not counted:
// PagerDuty does not say whether it is, and a sender that never recovers
// because it keeps asking would be a harsher fake than any report tells of.
func (l *ledger) take(now time.Time, limit int) bool {
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

// MaxPerWindow returns the most requests that came under any one routing key
// within any 60 seconds, whatever they were answered; of two requests exactly
// 60 seconds apart one is in the window. It is exact for every window there
// is, and not for those alone that begin on a minute. A request that a fault
// kept from being read could have named any key, and counts for each.
func (f *Fake) MaxPerWindow() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	most := busiest(f.unread)
	for _, l := range f.keys {
		arrivals := slices.Concat(l.arrivals, f.unread)
		slices.SortFunc(arrivals, time.Time.Compare)
		most = max(most, busiest(arrivals))
	}
	return most
}

// busiest returns the most of the sorted times that one window holds. The
// fullest window may be moved until it ends with one of them.
func busiest(times []time.Time) (most int) {
	first := 0
	for i, t := range times {
		for t.Sub(times[first]) >= window {
			first++
		}
		most = max(most, i-first+1)
	}
	return most
}
