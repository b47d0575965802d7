package simulate

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/guance-relay/guance-relay/guance"
	"github.com/guance-relay/guance-relay/pagerduty/pagerdutytest"
)

// deliver sends a webhook, and sends it again a few times if the answer is not 202.
type deliver struct {
	source  string
	events  []*guance.Event
	retries int
}

func (d deliver) do(w *world) { w.senders.Go(func() { w.send(d) }) }

func (d deliver) String() string {
	var says []string
	for _, e := range d.events {
		says = append(says, fmt.Sprintf("%.8s %v %v (%s, of %s)", e.ProblemKey(), e.State(),
			e.Level(), e.EventID, e.Time().Format(time.TimeOnly)))
	}
	who := "Guance"
	if d.source != "" {
		who += " " + d.source
	}
	return who + " sends " + strings.Join(says, " and ")
}

// outage has PagerDuty fail.
type outage struct {
	fault pagerdutytest.Fault
	lasts time.Duration
	share float64 // of the requests that fail
	of    int     // if not 0, only requests of the problem with this number fail
	only  string  // if not empty, only requests with this action fail
}

func (o outage) do(w *world) {
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

func (o outage) String() string {
	what := "PagerDuty"
	if o.of != 0 {
		what = fmt.Sprintf("PagerDuty, for problem number %d,", o.of)
	}
	if o.only != "" {
		what += fmt.Sprintf(", for a %s,", o.only)
	}
	return fmt.Sprintf("%s answers %.0f %% of requests with %+v for %v", what, 100*o.share, o.fault,
		o.lasts.Round(time.Millisecond))
}

// allowance changes what PagerDuty allows in a minute.
type allowance struct{ perMinute int }

func (a allowance) do(w *world) { w.fake.SetRateLimit(a.perMinute) }
func (a allowance) String() string {
	return fmt.Sprintf("PagerDuty allows %d requests a minute", a.perMinute)
}

// set sets the wall clock of a node, so that it is ahead of the store's time by this much.
type set struct {
	node  int
	ahead time.Duration
}

func (s set) do(w *world) { w.walls[s.node].Store(int64(s.ahead)) }
func (s set) String() string {
	return fmt.Sprintf("the wall clock of %s is set: it is %v ahead", nodeName(s.node), s.ahead)
}

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

// diskFault has the disk be full, or fail.
type diskFault struct {
	of    condition
	lasts time.Duration
}

func (t diskFault) do(w *world) { w.disk.set(t.of, t.lasts) }

func (t diskFault) String() string {
	return fmt.Sprintf("the disk is %v for %v", t.of, t.lasts.Round(time.Millisecond))
}

// replay replays all dead letters of a lane; drop deletes the first.
type (
	replay struct{ lane int }
	drop   struct{ lane int }
)

func (r replay) do(w *world) {
	w.operate(func(ctx context.Context, p *process) { w.replay(ctx, p, r.lane) })
}

func (r replay) String() string {
	return fmt.Sprintf("an operator replays all dead letters of lane number %d", r.lane)
}

func (d drop) do(w *world) {
	w.operate(func(ctx context.Context, p *process) { w.drop(ctx, p, d.lane) })
}

func (d drop) String() string {
	return fmt.Sprintf("an operator drops the first dead letter of lane number %d", d.lane)
}
