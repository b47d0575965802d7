package guancetest

import (
	"fmt"
	"iter"
	"math/rand/v2"
	"time"

	"github.com/guance-relay/guance-relay/guance"
)

// A Storm makes deliveries of many problems: faults, repeats, escalations and
// recoveries, some sent twice, some late and so out of order. The same storm is
// the same deliveries, byte for byte, in every process.
type Storm struct {
	// Seed tells storms of equal size apart.
	Seed uint64
	// Problems is how many problems there are; zero or less means 10.
	Problems int
	// Events is how many deliveries there are; zero or less means 100.
	Events int
	// Settle makes the last deliveries recoveries, so that every problem that
	// was there is gone at the end. It needs room: with fewer Events than
	// Problems some stay open.
	Settle bool
	// Start is when the storm begins; zero means the package's Start. The
	// deliveries of one second share a timestamp.
	Start time.Time
	// Rate is how many events arise per second; zero or less means 10.
	Rate int
}

// A Delivery is one request that the storm sends.
type Delivery struct {
	// Event is what it says; Event.Raw is the body.
	Event *guance.Event
	// Duplicate is true if the same event, by its id, was delivered before: a
	// second alert policy matched it, or a sender did not wait for the answer.
	Duplicate bool
	// Late is true if it arrives after its turn, so that a newer event of the
	// same problem may have come before it.
	Late bool
}

// monitors name the problems' monitors, in the languages that customers use.
var monitors = []string{"磁盘使用率过高", "CPU usage too high", "接口错误率", "Kafka consumer lag", "主机存活"}

// The chances of what happens next, out of 100.
const (
	chanceRecover   = 25 // an open problem recovers
	chanceEscalate  = 20 // an open problem changes its level; else it repeats
	chanceNoData    = 10 // a problem is about missing data, each time
	chanceDuplicate = 4  // an event is delivered twice
	chanceLate      = 4  // an event is delivered later than its turn
)

// Deliveries yields the storm's deliveries in order. It can be ranged over any
// number of times.
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

// A stormRun is one pass through a storm.
type stormRun struct {
	total, done int
	rng         *rand.Rand
	start       time.Time
	rate        int
	settle      bool
	problems    []*stormProblem
	open        int    // how many of them are open
	held        []held // deliveries out of turn, by no order
}

// A stormProblem is a problem and how it stands.
type stormProblem struct {
	*Problem
	level  guance.Level // LevelNone while it is not there
	nodata bool         // it is about missing data, a problem of its own for one host
	said   guance.State // what its latest delivery said, duplicates aside
}

// open reports whether a recovery has to come yet, be it because the problem is
// there or because a late delivery said so again.
func (p *stormProblem) open() bool {
	return p.level != guance.LevelNone || p.said == guance.StateProblem
}

// held is a delivery that waits for a later turn.
type held struct {
	Delivery
	of   *stormProblem
	turn int
}

func newStormRun(s Storm) *stormRun {
	or := func(n, zero int) int {
		if n <= 0 {
			return zero
		}
		return n
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

// next returns the delivery whose turn it is.
func (r *stormRun) next() Delivery {
	left := r.total - r.done
	r.done++
	// Still to come if nothing new happens are the recoveries, and what is held
	// back, each of which may ask for one more recovery. A turn can add four to
	// that: two problems, one of them held back.
	settling := r.settle && left <= 4+r.open+2*len(r.held)
	for i, h := range r.held {
		if h.turn < r.done || settling {
			r.held[i] = r.held[len(r.held)-1]
			r.held = r.held[:len(r.held)-1]
			return r.deliver(h.of, h.Delivery)
		}
	}
	if settling {
		return r.calm()
	}
	p, e := r.happen()
	later := r.done + 1 + r.rng.IntN(20)
	switch chance := r.rng.IntN(100); {
	case chance < chanceDuplicate:
		r.held = append(r.held, held{Delivery{Event: e, Duplicate: true, Late: true}, p, later})
	case chance < chanceDuplicate+chanceLate:
		r.held = append(r.held, held{Delivery{Event: e, Late: true}, p, later})
		p, e = r.happen()
	}
	return r.deliver(p, Delivery{Event: e})
}

// deliver notes what a delivery says of its problem.
func (r *stormRun) deliver(p *stormProblem, d Delivery) Delivery {
	if !d.Duplicate {
		r.change(p, func() { p.said = d.Event.State() })
	}
	return d
}

// change changes a problem and keeps count of the open ones.
func (r *stormRun) change(p *stormProblem, f func()) {
	if p.open() {
		r.open--
	}
	f()
	if p.open() {
		r.open++
	}
}

// calm ends a problem that is open, and makes a check that found nothing if
// there is none.
func (r *stormRun) calm() Delivery {
	for _, p := range r.problems {
		if p.open() {
			return r.deliver(p, Delivery{Event: r.end(p, 100)})
		}
	}
	p := r.problems[0]
	p.Now = r.now()
	return Delivery{Event: p.Info()}
}

// happen makes something happen to a problem.
func (r *stormRun) happen() (*stormProblem, *guance.Event) {
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
