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
// seconds. 0 or less takes all.
func (f *Fake) SetRateLimit(perMinute int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.limit = perMinute
}

// arrive notes a request, well-formed or not, that named a key.
func (f *Fake) arrive(x *exchange, now time.Time) *ledger {
	if x.event == nil || !wellFormed(x.event.text("routing_key")) {
		return nil
	}
	l := f.ledger(x.event.text("routing_key"))
	l.arrivals = append(l.arrivals, now)
	return l
}

// take spends one of the key's requests. What is refused is not counted:
// PagerDuty does not say whether it is, and a sender that never recovers
// because it keeps asking would be a harsher fake than any report tells of.
func (l *ledger) take(now time.Time, limit int) bool {
	if limit <= 0 {
		return true
	}
	l.taken = slices.DeleteFunc(l.taken, func(t time.Time) bool { return now.Sub(t) >= window })
	if len(l.taken) >= limit {
		return false
	}
	l.taken = append(l.taken, now)
	return true
}

// MaxPerWindow returns the most requests that came under any one routing key
// within any 60 seconds, whatever they were answered.
func (f *Fake) MaxPerWindow() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	most := 0
	for _, l := range f.keys {
		arrivals := slices.Clone(l.arrivals)
		slices.SortFunc(arrivals, time.Time.Compare)
		first := 0
		for i, t := range arrivals {
			for t.Sub(arrivals[first]) >= window {
				first++
			}
			most = max(most, i-first+1)
		}
	}
	return most
}
