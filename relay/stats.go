package relay

import (
	"encoding/json"
	"time"

	"github.com/guance-relay/guance-relay/guance"
	"github.com/guance-relay/guance-relay/relay/store"
)

// A LaneState is what a lane is doing.
type LaneState string

const (
	Idle       LaneState = "idle"        // there is nothing to send
	Sending    LaneState = "sending"     // attempts are in flight
	Budgeted   LaneState = "budget"      // it waits until its budget allows a request
	Paused     LaneState = "paused"      // the target asked for a pause, as with a 429
	BackingOff LaneState = "backing off" // every pending entry failed a moment ago
	Repeating  LaneState = "repeating"   // delivered recoveries wait to be sent a second time
	Probing    LaneState = "probing"     // the target is down and gets one request at a time
	Reading    LaneState = "reading"     // it reads its backlog after a start
	Standby    LaneState = "standby"     // another node owns it, or none yet; see LaneStats.Owner
	Held       LaneState = "held"        // an operator paused it, see LaneStats.Pause
	NoSink     LaneState = "no sink"     // it has no sink, and keeps what it has
	Stopped    LaneState = "stopped"     // it does not run in this process
)

// LevelCounts are numbers of entries by [guance.Level]. In JSON they are an object with the names
// of all levels.
type LevelCounts [guance.LevelFatal + 1]int

// MarshalJSON implements [json.Marshaler].
func (c LevelCounts) MarshalJSON() ([]byte, error) {
	named := make(map[string]int, len(c))
	for level, n := range c {
		named[guance.Level(level).String()] = n
	}
	return json.Marshal(named)
}

// UnmarshalJSON implements [json.Unmarshaler]. It ignores names of other levels.
func (c *LevelCounts) UnmarshalJSON(data []byte) error {
	var named map[string]int
	err := json.Unmarshal(data, &named)
	for level := range c {
		c[level] = named[guance.Level(level).String()]
	}
	return err
}

// LevelTimes are times by [guance.Level]. In JSON they are an object with the names of the levels
// whose time is not zero.
type LevelTimes [guance.LevelFatal + 1]time.Time

// MarshalJSON implements [json.Marshaler].
func (t LevelTimes) MarshalJSON() ([]byte, error) {
	named := make(map[string]time.Time)
	for level, at := range t {
		if !at.IsZero() {
			named[guance.Level(level).String()] = at
		}
	}
	return json.Marshal(named)
}

// UnmarshalJSON implements [json.Unmarshaler]. It ignores names of other levels.
func (t *LevelTimes) UnmarshalJSON(data []byte) error {
	var named map[string]time.Time
	err := json.Unmarshal(data, &named)
	for level := range t {
		t[level] = named[guance.Level(level).String()]
	}
	return err
}

// LaneStats are the figures of one lane. Counters start with the lane.
type LaneStats struct {
	Name  string    `json:"name"`
	State LaneState `json:"state"`
	// Owner is the node that owns a lane on standby. Its figures are those of the owner, and a few
	// seconds old. Empty: it is not known, or this node is the owner.
	Owner string `json:"owner,omitempty"`
	// Until is when the state may change by itself. Zero: only an event or an answer changes it.
	Until time.Time `json:"until,omitzero"`
	// Reason is the last failure, until the target takes an event.
	Reason string `json:"reason,omitempty"`
	// Backlog is the number of pending entries.
	Backlog int `json:"backlog"`
	// ByLevel is the same by level. It leaves out what is not read yet, see Reading.
	ByLevel LevelCounts `json:"by_level"`
	// Oldest is when the oldest pending entry was accepted. Zero: there is none.
	Oldest time.Time `json:"oldest,omitzero"`
	// OldestByLevel is the same by level. A problem with several pending entries counts under the
	// highest level of them.
	OldestByLevel LevelTimes `json:"oldest_by_level"`
	InFlight      int        `json:"in_flight"`
	// Unconfirmed are the problems with pending entries for which the answer of a request was lost.
	Unconfirmed int `json:"unconfirmed"`
	// Stuck are the entries that do not get through. Nil: there are none.
	Stuck *Stuck `json:"stuck,omitempty"`
	// PerMinute is the present rate. A 429 lowers it, and minutes without one raise it again.
	PerMinute float64 `json:"per_minute"`
	// Budget is the rate without any 429, in requests a minute.
	Budget float64 `json:"budget"`
	// Pause is the pause that an operator has set, see [Relay.Pause]. Nil: there is none.
	Pause *Pause `json:"pause,omitempty"`
	// BudgetLeft is how many requests the lane could begin at once. Lanes of one account share it. It
	// is 0 on a standby.
	BudgetLeft float64 `json:"-"`
	// LastDelivered is when the target last took an event, since the process that owns the lane
	// began. Zero: it has not taken one since.
	LastDelivered time.Time `json:"last_delivered,omitzero"`

	Attempts  uint64 `json:"attempts"`
	Failed    uint64 `json:"failed"`    // attempts that failed
	Throttled uint64 `json:"throttled"` // attempts that the target was too busy for

	Delivered  uint64 `json:"delivered"`
	Superseded uint64 `json:"superseded"`
	Ignored    uint64 `json:"ignored"`
	Dead       uint64 `json:"dead"`
}

// Stuck are the entries of a lane that do not get through: those that failed at least three times
// in a row, and those that the store cannot read. While the target counts as down, they are all
// pending entries. They are kept and tried again.
type Stuck struct {
	Count  int       `json:"count"`
	Oldest time.Time `json:"oldest"` // when the oldest of them was accepted
	Reason string    `json:"reason"` // of the last failure of one of them
	// Remedy is what to do about it, if the sink's error has a method Remedy() string.
	Remedy string `json:"remedy,omitempty"`
}

// Stats are the figures of a relay.
type Stats struct {
	// Lanes are the lanes in the order in which they were added, with those that have no sink.
	Lanes []LaneStats `json:"lanes"`
}

// Stats returns the figures of the relay. It takes no lock that delivering waits for.
func (r *Relay) Stats() Stats {
	lanes, _ := r.laneStats()
	return Stats{Lanes: lanes}
}

// laneStats returns the figures of all lanes, and the present wall time.
func (r *Relay) laneStats() ([]LaneStats, time.Time) {
	wall := r.clock.wall()
	ahead := wall.Sub(r.clock.now())
	lanes := r.lanes.Load().all
	stats := make([]LaneStats, len(lanes))
	for i, l := range lanes {
		if stats[i] = l.shown(ahead); stats[i].State == Standby {
			stats[i] = r.ownersFigures(stats[i])
		}
	}
	return stats, wall
}

// shown returns the figures of a lane in this process, with wall times: the wall clock is ahead of
// the lane's clock by so much.
func (l *laneConfig) shown(ahead time.Duration) LaneStats {
	s := *l.stats.Load()
	s.Ignored += l.atOnce[store.Ignored].Load()
	s.Dead += l.atOnce[store.Dead].Load()
	s.Until, s.Oldest = shift(s.Until, ahead), shift(s.Oldest, ahead)
	if b := l.budget.Load(); b != nil {
		s.BudgetLeft = b.left(l.clock.now())
	}
	s.LastDelivered = shift(s.LastDelivered, ahead)
	for level, at := range s.OldestByLevel {
		s.OldestByLevel[level] = shift(at, ahead)
	}
	if s.Stuck != nil {
		stuck := *s.Stuck
		stuck.Oldest = shift(stuck.Oldest, ahead)
		s.Stuck = &stuck
	}
	if s.Pause != nil {
		pause := *s.Pause
		pause.Until = shift(pause.Until, ahead)
		s.Pause = &pause
	}
	return s
}

// publish makes the loop's figures visible to laneStats. Times are of the lane's clock.
func (l *lane) publish(now time.Time) {
	pending, byLevel := l.schedule.Pending()
	outcomes := &l.counts.outcomes
	stats := &LaneStats{
		Name: l.name, Reason: l.failures.last.reason, Backlog: pending + l.unread, ByLevel: byLevel,
		Oldest: l.schedule.Oldest(), OldestByLevel: l.schedule.OldestByLevel(),
		InFlight: l.inFlight, Unconfirmed: l.schedule.Unconfirmed(), LastDelivered: l.counts.delivered,
		Attempts: l.counts.attempts, Failed: l.counts.failed, Throttled: l.counts.throttled,
		Delivered: outcomes[store.Delivered], Superseded: outcomes[store.Superseded],
		Ignored: outcomes[store.Ignored], Dead: outcomes[store.Dead],
	}
	if n, oldest, why := l.stuck(); n > 0 {
		stats.Stuck = &Stuck{Count: n, Oldest: oldest, Reason: why.reason, Remedy: why.remedy}
	}
	stats.State, stats.Until = l.state(now)
	_, _, stats.PerMinute = l.account.budget.standing(now)
	stats.Budget = l.account.budget.budgetPerMinute()
	stats.Pause = l.hold.shown(now)
	l.stats.Store(stats)
}

// state returns what the lane is doing and when that may change by itself.
func (l *lane) state(now time.Time) (LaneState, time.Time) {
	paused, next, _ := l.account.budget.standing(now)
	due, at := l.schedule.Ready(now)
	probe, down := l.schedule.Probe()
	switch {
	case l.stopping:
		return Stopped, time.Time{}
	case l.unread > 0 && now.Before(l.ready):
		return Reading, l.ready
	case l.sink == nil:
		return NoSink, time.Time{}
	case l.hold.holds(now):
		return Held, l.hold.until()
	case now.Before(paused):
		return Paused, paused
	case down:
		return Probing, probe
	case due && next.After(now) && l.inFlight < l.limit():
		return Budgeted, next
	case l.inFlight > 0:
		return Sending, time.Time{}
	case at.IsZero():
		return Idle, time.Time{}
	case l.schedule.RepeatNext():
		return Repeating, at
	}
	return BackingOff, at
}
