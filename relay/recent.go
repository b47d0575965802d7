package relay

import (
	"sync"
	"time"

	"github.com/guance-relay/guance-relay/relay/store"
)

const (
	// keepRecent is how many ended entries a lane remembers.
	keepRecent = 50
	// lastHour is how many minutes of attempts it counts.
	lastHour = 60
)

// An EndedEntry is an entry that has ended.
type EndedEntry struct {
	EntryStatus
	Problem string `json:"problem"`
}

// recent is what a lane did a short time ago, for people to see. It is safe for concurrent use.
type recent struct {
	mu     sync.Mutex
	ended  []EndedEntry // the newest last
	minute int64        // of the last count in attempts
	counts [lastHour]int
}

func (r *recent) end(e *store.Entry, m *store.Mark) {
	ended := EndedEntry{statusOf(e).ended(m.Outcome, m.Reason, m.At), e.Problem}
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.ended) == keepRecent {
		r.ended = append(r.ended[:0], r.ended[1:]...)
	}
	r.ended = append(r.ended, ended)
}

// attempt counts an attempt at a time of the store's clock.
func (r *recent) attempt(now time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.pass(now)
	r.counts[r.minute%lastHour]++
}

// pass goes on to a time.
func (r *recent) pass(now time.Time) {
	minute := now.Unix() / 60
	for range min(minute-r.minute, lastHour) {
		r.minute++
		r.counts[r.minute%lastHour] = 0
	}
	r.minute = max(r.minute, minute)
}

// Recent returns the last 50 entries of a lane that ended after an attempt in this process, the
// newest first. It is nil if there is no such lane.
func (r *Relay) Recent(lane string) []EndedEntry {
	l := r.findLane(lane)
	if l == nil {
		return nil
	}
	l.recent.mu.Lock()
	defer l.recent.mu.Unlock()
	ended := make([]EndedEntry, len(l.recent.ended))
	for i, e := range l.recent.ended {
		ended[len(ended)-1-i] = e
	}
	return ended
}

// LastHour returns the number of attempts of a lane in this process in each of the last 60 minutes,
// the oldest first. The last one is not over. It is nil if there is no such lane.
func (r *Relay) LastHour(lane string) []int {
	l := r.findLane(lane)
	if l == nil {
		return nil
	}
	l.recent.mu.Lock()
	defer l.recent.mu.Unlock()
	l.recent.pass(r.clock.now())
	counts := make([]int, 0, lastHour)
	for i := range int64(lastHour) {
		counts = append(counts, l.recent.counts[(l.recent.minute+1+i)%lastHour])
	}
	return counts
}
