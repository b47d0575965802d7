package watch

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

const (
	// quiet is how long no alert must be unrouted until that trouble is over.
	quiet = time.Hour
	// reportAgain is how long a trouble that grows is not reported again.
	reportAgain = time.Hour
	// hysteresis is by how many percent a store must be below the limit until it is no longer full.
	hysteresis = 10
)

// Settings are the settings of a [Policy].
type Settings struct {
	// Lane is the lane that the reports go to. What it does itself cannot be reported through it.
	Lane string
	// Stuck is how long a lane with pending events may get nothing through.
	Stuck time.Duration
	// Silence is how long nothing may come from Guance. Zero: for ever.
	Silence time.Duration
	// Full is how full the store may be, in percent.
	Full int
}

// Figures are what a [Policy] judges. The own events of the watch are not in them.
type Figures struct {
	Lanes []Lane
	// Unrouted is how many alerts no lane took since the start.
	Unrouted uint64
	// LastWebhook is when the last webhook of Guance came. Zero: none came since the start.
	LastWebhook time.Duration
	// Full is how full the store is, in percent, and What what of it.
	Full int
	What string
}

// A Lane is what a Policy sees of one lane.
type Lane struct {
	Name    string
	Pending int
	Taken   uint64 // events that the target took; a change is progress
	Dead    int    // dead letters
	// Idle means that the lane sends nothing by somebody's will: an operator's pause, or no target.
	Idle bool
}

// A Report is a trouble that is to be said, or whose end is.
type Report struct {
	Key            string // of the problem: the kind, and the lane after a slash
	Over           bool
	Title, Message string
	size           int
}

// The kinds of trouble, which Keys begin with.
const (
	deadKind     = "dead"
	stuckKind    = "stuck"
	unroutedKind = "unrouted"
	silenceKind  = "silence"
	fullKind     = "full"
)

// A Policy decides what trouble there is. It has no clock: all times are since the start. It is not
// safe for concurrent use.
type Policy struct {
	open      map[string]reported
	progress  map[string]progress // by lane
	unrouted  uint64
	last      time.Duration // when an alert was last unrouted
	laneStuck bool
}

// reported is a trouble that was reported and is not over.
type reported struct {
	at   time.Duration
	size int
}

// progress is when a lane last had nothing pending, or got something through; or when it was first
// seen.
type progress struct {
	at    time.Duration
	taken uint64
	since bool // since the start, and not from before it
}

// NewPolicy returns the policy of a start.
func NewPolicy() *Policy {
	return &Policy{open: make(map[string]reported), progress: make(map[string]progress)}
}

// Adopt takes over a trouble that an earlier process reported.
func (p *Policy) Adopt(key string, now time.Duration) {
	if _, known := p.open[key]; !known {
		p.open[key] = reported{at: now}
	}
	if key == unroutedKind {
		p.last = now
	}
}

// LaneStuck reports whether the lane of the reports gets nothing through, by the last judgement.
// Only the lack of heartbeats can say that.
func (p *Policy) LaneStuck() bool { return p.laneStuck }

// Judge returns what is to be reported now. It returns the same again until Reported is called.
func (p *Policy) Judge(now time.Duration, s *Settings, f *Figures) (reports []Report) {
	holding := make(map[string]Report)
	hold := func(kind, lane string, size int, title, message string) {
		key := kind
		if lane != "" {
			key += "/" + lane
		}
		holding[key] = Report{Key: key, Title: title, Message: message, size: size}
	}
	p.laneStuck = false
	for _, l := range f.Lanes {
		if l.Dead > 0 {
			hold(deadKind, l.Name, l.Dead, fmt.Sprintf("%d dead letters in lane %s", l.Dead, l.Name),
				"Events were given up: nobody was notified of them. See why in the console, "+
					"then replay or drop them. This incident is resolved when there is none left.")
		}
		if p.stuck(now, s, &l) {
			hold(stuckKind, l.Name, 0, fmt.Sprintf("lane %s gets nothing through", l.Name),
				fmt.Sprintf("%d events are pending, and the target has taken none for %v. See the reason in "+
					"the console. They are sent when the target takes events again.",
					l.Pending, s.Stuck))
		}
	}
	if f.Unrouted > p.unrouted {
		p.last = now
	}
	_, open := p.open[unroutedKind]
	if (open || f.Unrouted > 0) && now-p.last < quiet {
		hold(unroutedKind, "", int(f.Unrouted), "alerts that no lane takes",
			fmt.Sprintf("%d alerts since the start were not kept, as no route leads them to a lane. Add a "+
				"route or a fallback. The log names them. This incident is resolved when there was none "+
				"for an hour.", f.Unrouted))
	}
	p.unrouted = f.Unrouted
	_, open = p.open[silenceKind]
	if s.Silence > 0 && (now-f.LastWebhook >= s.Silence || open && f.LastWebhook == 0) {
		hold(silenceKind, "", 0, fmt.Sprintf("nothing has come from Guance for %v", s.Silence),
			"Check the target in Guance, which is switched off after two days of failures, and the way "+
				"from there to the relay. This incident is resolved by the next webhook.")
	}
	limit := s.Full
	if _, open = p.open[fullKind]; open {
		limit -= hysteresis
	}
	if f.Full >= limit {
		hold(fullKind, "", 0, fmt.Sprintf("the store is full to %d%%", f.Full),
			"Of "+f.What+". A full store refuses webhooks. See which lane does not get through, or make "+
				"room on the disk.")
	}
	for _, key := range slices.Sorted(maps.Keys(holding)) {
		r := holding[key]
		before, open := p.open[key]
		if !open || r.size > before.size && now-before.at >= reportAgain {
			reports = append(reports, r)
		}
	}
	for _, key := range slices.Sorted(maps.Keys(p.open)) {
		if _, holds := holding[key]; !holds {
			kind, lane, _ := strings.Cut(key, "/")
			reports = append(reports, Report{Key: key, Over: true,
				Title: strings.TrimSpace("over: " + kind + " " + lane), Message: "It is over."})
		}
	}
	return reports
}

// stuck reports whether a lane gets nothing through and is to be reported. Of a trouble that was
// adopted it is true until something moves.
func (p *Policy) stuck(now time.Duration, s *Settings, l *Lane) bool {
	before, known := p.progress[l.Name]
	moved := l.Pending == 0 || l.Idle || known && l.Taken != before.taken
	if !known || moved {
		before = progress{now, l.Taken, moved}
		p.progress[l.Name] = before
	}
	_, open := p.open[stuckKind+"/"+l.Name]
	stuck := !moved && (open && !before.since || now-before.at >= s.Stuck)
	if l.Name == s.Lane {
		p.laneStuck = stuck
		return false
	}
	return stuck
}

// Reported notes that a report was accepted.
func (p *Policy) Reported(r Report, now time.Duration) {
	if r.Over {
		delete(p.open, r.Key)
		return
	}
	p.open[r.Key] = reported{now, r.size}
}
