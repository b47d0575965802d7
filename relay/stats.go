package relay

import (
	"time"

	"github.com/guance-relay/guance-relay/guance"
	"github.com/guance-relay/guance-relay/relay/store"
)

// A LaneState is what a lane is doing.
type LaneState string

const (
	Idle       LaneState = "idle"        // there is nothing to send
	Sending    LaneState = "sending"     // attempts are in flight
	Budgeted   LaneState = "budget"      // it waits for the next request that its budget allows
	Paused     LaneState = "paused"      // the target asked to be left alone
	BackingOff LaneState = "backing off" // all that is pending failed a moment ago
	Repeating  LaneState = "repeating"   // recoveries that were taken wait to be sent once more, as an answer was lost before them
	Probing    LaneState = "probing"     // the target is down: one request at a time finds out when it is back
	Reading    LaneState = "reading"     // it reads what was there when it started
	Stopped    LaneState = "stopped"     // it does not run in this process
)

// LaneStats are the figures of one lane. Counters start when the lane does.
type LaneStats struct {
	Name  string    `json:"name"`
	State LaneState `json:"state"`
	// Until is when the state may change by itself; zero if only news or an answer can change it.
	Until time.Time `json:"until,omitzero"`
	// Reason is what the target answered last, while it is in trouble.
	Reason string `json:"reason,omitempty"`
	// Backlog is the number of entries that are not settled, and ByLevel the same by [guance.Level].
	Backlog int                        `json:"backlog"`
	ByLevel [guance.LevelFatal + 1]int `json:"by_level"`
	// Oldest is when the oldest of them was accepted; zero if there is none.
	Oldest   time.Time `json:"oldest,omitzero"`
	InFlight int       `json:"in_flight"`
	// Stuck are the entries that do not get through, whatever else does; nil if there are none.
	Stuck *Stuck `json:"stuck,omitempty"`
	// PerMinute is the rate that the lane keeps now; a 429 lowers it, quiet raises it again.
	PerMinute float64 `json:"per_minute"`

	Attempts  uint64 `json:"attempts"`
	Failed    uint64 `json:"failed"`    // attempts that failed
	Throttled uint64 `json:"throttled"` // attempts that the target was too busy for

	Delivered  uint64 `json:"delivered"`
	Superseded uint64 `json:"superseded"`
	Ignored    uint64 `json:"ignored"`
	Dead       uint64 `json:"dead"`
}

// Stuck are the entries of a lane that do not get through: those that failed three times in a row or more, those that the store cannot read,
// and all that is pending while the target counts as down. They are kept and tried again.
type Stuck struct {
	Count  int       `json:"count"`
	Oldest time.Time `json:"oldest"` // when the oldest of them was accepted
	Reason string    `json:"reason"` // of the last failure of one of them
	// Remedy is what to do about it, if the sink's error has a method Remedy() string that says so.
	Remedy string `json:"remedy,omitempty"`
}

// Stats are the figures of a relay.
type Stats struct {
	// Lanes has one element for each call of Handle, in that order.
	Lanes []LaneStats `json:"lanes"`
	// Strays are lanes of the store that no sink is handled for, as of the start of Run. Their entries are kept.
	Strays map[string]store.Holdings `json:"strays,omitempty"`
}

// Stats returns the figures of the relay. It takes no lock that delivering waits for.
func (r *Relay) Stats() Stats {
	lanes, _ := r.laneStats()
	s := Stats{Lanes: lanes}
	if strays := r.strays.Load(); strays != nil {
		s.Strays = *strays
	}
	return s
}

// laneStats returns the figures of all lanes, and the wall time by which their times are told.
func (r *Relay) laneStats() ([]LaneStats, time.Time) {
	wall := r.clock.wall()
	ahead := wall.Sub(r.clock.now())
	stats := make([]LaneStats, len(r.lanes))
	for i, l := range r.lanes {
		s := *l.stats.Load()
		s.Ignored += l.ignored.Load()
		s.Until, s.Oldest = shift(s.Until, ahead), shift(s.Oldest, ahead)
		if s.Stuck != nil {
			told := *s.Stuck
			told.Oldest = shift(told.Oldest, ahead)
			s.Stuck = &told
		}
		stats[i] = s
	}
	return stats, wall
}

// publish makes the loop's figures visible to others. Their times are those of the lane's clock: whoever reads them turns them into wall time.
func (l *lane) publish(now time.Time) {
	s := l.schedule
	stats := &LaneStats{
		Name: l.name, Reason: l.trouble.reason, Backlog: s.pending + l.unread, ByLevel: s.levels, Oldest: s.oldest(), InFlight: l.inFlight,
		Attempts: l.counts.attempts, Failed: l.counts.failed, Throttled: l.counts.throttled,
		Delivered: l.counts.outcomes[store.Delivered], Superseded: l.counts.outcomes[store.Superseded],
		Ignored: l.counts.outcomes[store.Ignored], Dead: l.counts.outcomes[store.Dead],
	}
	if n, oldest, why := l.stuck(); n > 0 {
		stats.Stuck = &Stuck{Count: n, Oldest: oldest, Reason: why.reason, Remedy: why.remedy}
	}
	stats.State, stats.Until = l.state(now)
	_, _, stats.PerMinute = l.account.standing(now)
	l.stats.Store(stats)
}

// state says what the lane is doing and when that may change by itself.
func (l *lane) state(now time.Time) (LaneState, time.Time) {
	paused, next, _ := l.account.standing(now)
	due, at := l.schedule.ready(now)
	switch {
	case l.stopping:
		return Stopped, time.Time{}
	case l.unread > 0 && now.Before(l.ready):
		return Reading, l.ready
	case now.Before(paused):
		return Paused, paused
	case l.schedule.breaker.down():
		return Probing, l.schedule.breaker.probe
	case due && next.After(now) && l.inFlight < l.limit():
		return Budgeted, next
	case l.inFlight > 0:
		return Sending, time.Time{}
	case !at.IsZero():
		if l.schedule.repeats() {
			return Repeating, at
		}
		return BackingOff, at
	}
	return Idle, time.Time{}
}

func levelName(level int) string { return guance.Level(level).String() }
