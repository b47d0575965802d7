package simulate

import (
	"fmt"
	"strings"
	"time"

	"github.com/guance-relay/guance-relay/guance"
	"github.com/guance-relay/guance-relay/pagerduty/pagerdutytest"
)

// deliver is a webhook. Whoever sends it tries again a few times if it is not answered with 202.
type deliver struct {
	events  []*guance.Event
	retries int
}

func (d deliver) do(w *world) { w.senders.Go(func() { w.send(d) }) }

func (d deliver) String() string {
	var says []string
	for _, e := range d.events {
		says = append(says, fmt.Sprintf("%.8s %v %v (%s, of %s)", e.ProblemKey(), e.State(), e.Level(), e.EventID, e.Time().Format(time.TimeOnly)))
	}
	return "Guance sends " + strings.Join(says, " and ")
}

// trip is trouble of PagerDuty's.
type trip struct {
	fault pagerdutytest.Fault
	lasts time.Duration
	share float64 // of the requests that meet it
	of    int     // if not 0, only those of the problem with this number meet it
	only  string  // if not empty, only requests with this action meet it
}

func (o trip) do(w *world) {
	until, rng := time.Now().Add(o.lasts), w.fork()
	w.fake.Poison(func(r pagerdutytest.Request) bool {
		if o.of != 0 && w.number(r.DedupKey) != o.of {
			return false
		}
		if o.only != "" && r.Action != o.only {
			return false
		}
		return time.Now().Before(until) && rng() < o.share
	}, o.fault)
}

func (o trip) String() string {
	what := "PagerDuty"
	if o.of != 0 {
		what = fmt.Sprintf("PagerDuty, for problem number %d,", o.of)
	}
	if o.only != "" {
		what += fmt.Sprintf(", for a %s,", o.only)
	}
	return fmt.Sprintf("%s meets %.0f %% of requests with %+v for %v", what, 100*o.share, o.fault, o.lasts.Round(time.Millisecond))
}

// allowance changes what PagerDuty allows in a minute.
type allowance struct{ perMinute int }

func (a allowance) do(w *world) { w.fake.SetRateLimit(a.perMinute) }
func (a allowance) String() string {
	return fmt.Sprintf("PagerDuty allows %d requests a minute", a.perMinute)
}

// set has somebody set the clock on the wall, so that it is ahead of what the store counts by this much.
type set struct{ ahead time.Duration }

func (s set) do(w *world)    { w.wall.Store(int64(s.ahead)) }
func (s set) String() string { return fmt.Sprintf("the wall clock is set: it is %v ahead", s.ahead) }

// crash kills the process and starts it again.
type crash struct{ down time.Duration }

func (c crash) do(w *world) {
	w.now().kill()
	time.Sleep(c.down)
	w.start()
}

func (c crash) String() string {
	return fmt.Sprintf("the process is killed and back after %v", c.down.Round(time.Millisecond))
}

// stop ends the process as SIGTERM does and starts it again.
type stop struct{ down time.Duration }

func (s stop) do(w *world) {
	w.stop()
	time.Sleep(s.down)
	w.start()
}

func (s stop) String() string {
	return fmt.Sprintf("the process is stopped and back after %v", s.down.Round(time.Millisecond))
}

// trouble is trouble of the disk's.
type trouble struct {
	of    condition
	lasts time.Duration
}

func (t trouble) do(w *world) {
	w.disk.fall(t.of, t.lasts)
}

func (t trouble) String() string {
	return fmt.Sprintf("the disk is %v for %v", t.of, t.lasts.Round(time.Millisecond))
}

// replay has every dead letter sent again; drop deletes them.
type (
	replay struct{}
	drop   struct{}
)

func (replay) do(w *world)    { w.operate(w.replay) }
func (replay) String() string { return "an operator replays all dead letters" }
func (drop) do(w *world)      { w.operate(w.drop) }
func (drop) String() string   { return "an operator drops the first dead letter" }
