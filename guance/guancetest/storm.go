package guancetest

import (
	"cmp"
	"fmt"
	"iter"
	"math/rand/v2"
	"time"

	"github.com/guance-relay/guance-relay/guance"
)

// A Storm is a sequence of deliveries of many problems: faults, repeats, changes of level and
// recoveries. Some are sent twice, and some are late and so out of order. The same Storm gives the
// same deliveries, byte for byte, in every process. A negative number panics.
type Storm struct {
	// Seed makes storms of the same size differ.
	Seed uint64
	// Problems is the number of problems. Zero: 10.
	Problems int
	// Events is the number of deliveries. Zero: 100.
	Events int
	// Settle makes the last deliveries recoveries, so that no problem is left at the end. It needs
	// more Events than Problems; with fewer, some problems stay open.
	Settle bool
	// Start is when the storm begins. Zero: the package's Start. The deliveries of one second have the
	// same timestamp.
	Start time.Time
	// Rate is the number of events per second. Zero: 10.
	Rate int
}

// A Delivery is one request of the storm.
type Delivery struct {
	// Event is the event; Event.Raw is the body.
	Event *guance.Event
	// Duplicate is true if the same event, by its id, was delivered before. In Guance that happens
	// when a second alert policy matches, or when the sender did not wait for the answer.
	Duplicate bool
	// Late is true if the delivery is late: a newer event of the same problem may have been delivered
	// before it.
	Late bool
}

// monitors are the names of monitors, in the languages of Guance's customers.
var monitors = []string{"磁盘使用率过高", "CPU usage too high", "接口错误率", "Kafka consumer lag", "主机存活"}

// The probabilities of the next event, in percent.
const (
	chanceRecover   = 25 // an open problem recovers
	chanceEscalate  = 20 // an open problem changes its level; otherwise it repeats
	chanceNoData    = 10 // a problem is about missing data
	chanceDuplicate = 4  // an event is delivered twice
	chanceLate      = 4  // an event is delivered late
)

// Deliveries yields the deliveries in order. It can be used more than once.
func (s Storm) Deliveries() iter.Seq[Delivery] {
	return func(yield func(Delivery) bool) {
		run := newStormRun(s)
		for range run.total {
			if !yield(run.next()) {
				return
			}
		}
	}
}

// stormRun is one pass through a storm.
type stormRun struct {
	total, done int
	rng         *rand.Rand
	start       time.Time
	rate        int
	settle      bool
	problems    []*stormProblem
	open        int       // number of open problems
	delayed     []delayed // deliveries that wait for a later turn, in no order
}

// stormProblem is a problem and its state.
type stormProblem struct {
	*Problem
	level  guance.Level // LevelNone: the problem is not there
	nodata bool         // about missing data
	state  guance.State // state of its latest delivery, without duplicates
}

// open reports whether a recovery must still come: the problem is there, or a late delivery said so
// again.
func (p *stormProblem) open() bool {
	return p.level != guance.LevelNone || p.state == guance.StateProblem
}

// delayed is a delivery that waits for a later turn.
type delayed struct {
	Delivery
	of   *stormProblem
	turn int
}

func newStormRun(s Storm) *stormRun {
	or := func(n, fallback int) int {
		if n < 0 {
			panic("guancetest: Storm with a negative number")
		}
		return cmp.Or(n, fallback)
	}
	run := &stormRun{
		total:  or(s.Events, 100),
		rng:    rand.New(rand.NewPCG(s.Seed, 0)), //nolint:gosec // reproducible on purpose
		start:  s.Start,
		rate:   or(s.Rate, 10),
		settle: s.Settle,
	}
	if run.start.IsZero() {
		run.start = Start
	}
	for i := range or(s.Problems, 10) {
		run.problems = append(run.problems, &stormProblem{
			Problem: NewProblem(monitors[i%len(monitors)], "host", fmt.Sprintf("web%05d", i)),
			nodata:  run.rng.IntN(100) < chanceNoData,
		})
	}
	return run
}

// next returns the next delivery.
func (r *stormRun) next() Delivery {
	left := r.total - r.done
	r.done++
	// If no new event is made, what is left are one recovery for each open problem, and the delayed
	// deliveries, each of which may need one more recovery. One turn can add four to that: two
	// problems, one of them delayed.
	settling := r.settle && left <= 4+r.open+2*len(r.delayed)
	for i, h := range r.delayed {
		if h.turn < r.done || settling {
			r.delayed[i] = r.delayed[len(r.delayed)-1]
			r.delayed = r.delayed[:len(r.delayed)-1]
			return r.deliver(h.of, h.Delivery)
		}
	}
	if settling {
		return r.recoverOne()
	}
	p, e := r.nextEvent()
	later := r.done + 1 + r.rng.IntN(20)
	switch chance := r.rng.IntN(100); {
	case chance < chanceDuplicate:
		r.delayed = append(r.delayed, delayed{Delivery{Event: e, Duplicate: true, Late: true}, p, later})
	case chance < chanceDuplicate+chanceLate:
		r.delayed = append(r.delayed, delayed{Delivery{Event: e, Late: true}, p, later})
		p, e = r.nextEvent()
	}
	return r.deliver(p, Delivery{Event: e})
}

// deliver records what the delivery says about its problem.
func (r *stormRun) deliver(p *stormProblem, d Delivery) Delivery {
	if !d.Duplicate {
		r.change(p, func() { p.state = d.Event.State() })
	}
	return d
}

// change changes a problem and keeps the number of open problems correct.
func (r *stormRun) change(p *stormProblem, f func()) {
	if p.open() {
		r.open--
	}
	f()
	if p.open() {
		r.open++
	}
}

// recoverOne ends an open problem. If there is none, it makes a check that met no rule.
func (r *stormRun) recoverOne() Delivery {
	for _, p := range r.problems {
		if p.open() {
			return r.deliver(p, Delivery{Event: r.end(p, 100)})
		}
	}
	p := r.problems[0]
	p.Now = r.now()
	return Delivery{Event: p.Info()}
}

// nextEvent makes the next event of a random problem.
func (r *stormRun) nextEvent() (*stormProblem, *guance.Event) {
	p := r.problems[r.rng.IntN(len(r.problems))]
	chance := r.rng.IntN(100)
	fault := guance.LevelWarning + guance.Level(r.rng.IntN(4))
	switch {
	case p.level == guance.LevelNone:
		if p.nodata {
			fault = guance.LevelNoData
		}
		r.change(p, func() { p.level = fault })
	case chance < chanceRecover:
		return p, r.end(p, chance)
	case chance < chanceRecover+chanceEscalate && !p.nodata:
		p.level = fault
	}
	p.Now = r.now()
	return p, p.Fault(p.level)
}

// end ends a problem in one of the ways that its phase allows.
func (r *stormRun) end(p *stormProblem, chance int) *guance.Event {
	r.change(p, func() { p.level = guance.LevelNone })
	p.Now = r.now()
	switch {
	case p.nodata:
		return p.DataBack()
	case chance == 0:
		return p.RecoverByHand()
	}
	return p.Recover()
}

func (r *stormRun) now() time.Time {
	return r.start.Add(time.Duration((r.done-1)/r.rate) * time.Second)
}
