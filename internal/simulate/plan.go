package simulate

import (
	"cmp"
	"fmt"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/guance-relay/guance-relay/guance"
	"github.com/guance-relay/guance-relay/guance/guancetest"
	"github.com/guance-relay/guance-relay/pagerduty/pagerdutytest"
)

// A Plan is everything that happens in one simulation.
type Plan struct {
	Seed        uint64
	PerMinute   int // the budget of each routing key
	Concurrency int
	MaxAge      time.Duration
	Disk        time.Duration // the longest time of one call to the disk
	Lanes       Lanes
	Route       bool     // the relay has one Route instead of a Match for each lane
	LaneLimit   int      // how many pending entries a lane may hold; 0: as many as the store
	Sources     []string // who sends
	Nodes       int      // 1: one process with a disk of its own
	Behind      int      // how many nodes keep to the end the lanes that they have then
	Brisk       bool     // it is short, and its steps follow each other quickly
	Steps       []Step   // in order of time
}

// A Step is one thing that happens.
type Step struct {
	At time.Duration // since the start
	Do Action
}

// An Action is what happens in a Step; its String describes it in the report of a failure.
type Action interface {
	do(*world)
	fmt.Stringer
}

// NewPlan returns the plan of a seed.
func NewPlan(seed uint64) *Plan {
	rng := rand.New(rand.NewPCG(seed, 1))
	p := &Plan{
		Seed:        seed,
		PerMinute:   pick(rng, 6, 30, 120, 120, 1200),
		Concurrency: pick(rng, 1, 2, 8, 32),
		MaxAge:      pick(rng, 20*time.Minute, 72*time.Hour, 72*time.Hour),
		Disk:        pick(rng, 4*time.Millisecond, 4*time.Millisecond, 400*time.Millisecond),
	}
	// What came later is drawn from a source of its own, so that the rest of a seed stays as it was.
	several := rand.New(rand.NewPCG(seed, 5))
	p.Nodes = pick(several, 1, 1, 2, 3)
	p.Brisk = p.Nodes > 1 && rand.New(rand.NewPCG(seed, 6)).IntN(16) != 0
	routing := rand.New(rand.NewPCG(seed, 4))
	p.Lanes = layouts(routing)
	p.LaneLimit = pick(routing, 0, 0, 0, 2, 10)
	p.Sources = pick(routing, []string{""}, []string{""}, []string{"", "b"}, []string{"a", "b"})
	end := p.traffic(rng)
	p.otherSources(routing)
	p.changes(routing, end)
	for range rng.IntN(5) {
		p.add(between(rng, 0, end), randomOutage(rng))
	}
	for range rng.IntN(3) {
		p.add(between(rng, 0, end), crash{down: between(rng, 0, 20*time.Second)})
	}
	for range rng.IntN(2) {
		p.add(between(rng, 0, end), stop{down: between(rng, 0, 20*time.Second)})
	}
	for range rng.IntN(3) {
		p.add(between(rng, 0, end), diskFault{of: pick(rng, full, full, failing),
			lasts: between(rng, time.Second, time.Minute)})
	}
	for range rng.IntN(4) {
		p.add(between(rng, 0, end+10*time.Minute), pick[Action](rng, replay{}, replay{}, drop{}))
	}
	for i := range p.Steps { // operators look after each lane
		lane := routing.IntN(len(p.Lanes))
		switch p.Steps[i].Do.(type) {
		case replay:
			p.Steps[i].Do = replay{lane}
		case drop:
			p.Steps[i].Do = drop{lane}
		}
	}
	if rng.IntN(3) == 0 {
		p.add(between(rng, 0, end), allowance{perMinute: pick(rng, 3, 20, 60)})
		p.add(between(rng, end/2, end), allowance{perMinute: 240})
	}
	// PagerDuty handles triggers late, within the minute that the promise covers
	for range rng.IntN(3) {
		late := outage{lasts: between(rng, time.Second, 5*time.Minute), share: pick(rng, 1.0, 0.5),
			only: "trigger"}
		late.fault = pagerdutytest.Fault{Connection: pagerdutytest.Hang,
			IngestAfter: between(rng, time.Second, 55*time.Second)}
		p.add(between(rng, 0, end), late)
	}
	const year = 365 * 24 * time.Hour
	for range rng.IntN(6) { // most clocks are right at the end
		p.add(between(rng, 0, end+10*time.Minute), set{0, pick(rng, 0, 0, 0, 3*time.Second,
			-3*time.Second, 8*time.Hour, -8*time.Hour,
			96*time.Hour, -96*time.Hour, -20*year, 30*year)})
	}
	if p.Brisk {
		end = p.hurry(end, between(several, 20*time.Second, 100*time.Second))
	}
	if p.Nodes > 1 {
		p.nodes(several, end)
	}
	slices.SortStableFunc(p.Steps, func(a, b Step) int { return cmp.Compare(a.At, b.At) })
	return p
}

// hurry moves the steps so that the traffic, which ended at end, ends at newEnd. It returns newEnd.
func (p *Plan) hurry(end, newEnd time.Duration) time.Duration {
	for i := range p.Steps {
		at := p.Steps[i].At
		if at > end {
			at = end + (at-end)/20
		}
		p.Steps[i].At = time.Duration(float64(at) / float64(end) * float64(newEnd))
	}
	return newEnd
}

// traffic plans what Guance sends and returns when it ends.
func (p *Plan) traffic(rng *rand.Rand) time.Duration {
	rate := pick(rng, 1, 3, 20)
	storm := guancetest.Storm{
		Seed: rng.Uint64(), Problems: 1 + rng.IntN(12), Events: 5 + rng.IntN(60),
		Settle: rng.IntN(2) == 0,
		Start:  epoch, Rate: rate,
	}
	if p.Brisk {
		storm.Problems, storm.Events = 1+storm.Problems/3, 3+storm.Events/6
	}
	// The storm sets the times of the events. Some storms are sent slowly, without a backlog.
	pace := pick(rng, 1, 1, 20) * int(time.Second) / rate
	at := time.Duration(0)
	for d := range storm.Deliveries() {
		batch := []*guance.Event{d.Event}
		p.add(at, deliver{events: batch, retries: rng.IntN(4)})
		at += time.Duration(rng.IntN(2*pace) + 1)
	}
	// Some bodies have several events, or events that were sent before.
	for i := range p.Steps {
		d := p.Steps[i].Do.(deliver)
		if i > 0 && rng.IntN(12) == 0 {
			d.events = append(d.events, p.Steps[rng.IntN(i)].Do.(deliver).events[0])
			p.Steps[i].Do = d
		}
	}
	return at + time.Minute
}

// otherSources has other sources send, or send the same too: their problems never meet.
func (p *Plan) otherSources(rng *rand.Rand) {
	steps := p.Steps
	p.Steps = nil
	for _, s := range steps {
		d := s.Do.(deliver)
		d.source = pick(rng, p.Sources...)
		p.add(s.At, d)
		if other := pick(rng, p.Sources...); other != d.source && rng.IntN(2) == 0 {
			d.source = other
			p.add(s.At+time.Duration(rng.IntN(int(time.Second))), d)
		}
	}
}

// changes plans changes of the lanes.
func (p *Plan) changes(rng *rand.Rand, end time.Duration) {
	if rng.IntN(4) == 0 {
		p.Route = true // which knows the names of its process, so no name may change while it runs
		for range rng.IntN(2) {
			p.add(between(rng, 0, end), renameStopped{rng.IntN(len(p.Lanes)),
				between(rng, 0, 20*time.Second)})
		}
		return
	}
	for range pick(rng, 0, 0, 1, 3) {
		lane := rng.IntN(len(p.Lanes))
		switch rng.IntN(4) {
		case 0:
			p.add(between(rng, 0, end), renameStopped{lane, between(rng, 0, 20*time.Second)})
		case 1:
			p.add(between(rng, 0, end), rename{lane})
		default:
			at := between(rng, 0, end)
			p.add(at, remove{0, lane})
			p.add(between(rng, at, end+10*time.Minute), restore{0, lane})
		}
	}
}

func (p *Plan) add(at time.Duration, do Action) { p.Steps = append(p.Steps, Step{at, do}) }

// randomOutage returns an outage of PagerDuty.
func randomOutage(rng *rand.Rand) Action {
	o := outage{lasts: between(rng, time.Second, 20*time.Minute),
		share: pick(rng, 1.0, 1.0, 0.5, 0.1)}
	o.fault = pick(rng,
		pagerdutytest.Fault{Status: http.StatusInternalServerError},
		pagerdutytest.Fault{Status: http.StatusBadGateway, Ingest: rng.IntN(2) == 0},
		pagerdutytest.Fault{Status: http.StatusServiceUnavailable,
			RetryAfter: pick(rng, "", "5", "90")},
		pagerdutytest.Fault{Status: http.StatusTooManyRequests,
			RetryAfter: pick(rng, "", "", "1", "45", "junk")},
		pagerdutytest.Fault{Connection: pagerdutytest.Refuse},
		pagerdutytest.Fault{Connection: pagerdutytest.DropBeforeRead},
		pagerdutytest.Fault{Connection: pagerdutytest.DropAfterRead, Ingest: rng.IntN(2) == 0},
		pagerdutytest.Fault{Connection: pagerdutytest.Hang, Ingest: rng.IntN(2) == 0},
		pagerdutytest.Fault{Connection: pagerdutytest.CutAnswer},
		pagerdutytest.Fault{Delay: between(rng, time.Millisecond, 40*time.Second)},
		pagerdutytest.Fault{Status: http.StatusOK, Body: "<html>", ContentType: "text/html",
			Ingest: true},
	)
	if rng.IntN(4) == 0 { // one problem always fails
		o.of = 1 + rng.IntN(12)
		o.fault = pick(rng, pagerdutytest.Fault{Status: http.StatusInternalServerError},
			pagerdutytest.Fault{Status: http.StatusBadRequest, Body: refusal})
	}
	return o
}

// refusal is how PagerDuty refuses an event.
const refusal = `{"status":"invalid event","message":"Event object is invalid",` +
	`"errors":["'payload.severity' is invalid"]}`

// String returns the plan, one line for each step.
func (p *Plan) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "seed %d: nodes: %d (%d behind), %d requests a minute, %d at once, %v at most, "+
		"a disk of %v, sources %q, lanes of %d entries (0: of any number), Route %v\n%v", p.Seed,
		p.Nodes, p.Behind, p.PerMinute, p.Concurrency, p.MaxAge, p.Disk, p.Sources, p.LaneLimit,
		p.Route, p.Lanes)
	for _, s := range p.Steps {
		fmt.Fprintf(&b, "  %12v  %v\n", s.At.Round(time.Millisecond), s.Do)
	}
	return b.String()
}

func pick[T any](rng *rand.Rand, of ...T) T { return of[rng.IntN(len(of))] }

func between(rng *rand.Rand, from, to time.Duration) time.Duration {
	return from + time.Duration(rng.Int64N(int64(to-from)))
}
