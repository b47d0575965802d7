package pagerdutytest

import (
	"slices"
	"time"
)

// faultPlan says which request gets which fault. An outage comes before a poison, and a poison
// before the script.
type faultPlan struct {
	outages []outage
	poisons []*poison
	script  []Fault
}

type outage struct {
	from, to time.Time
	fault    Fault
}

type poison struct {
	match func(Request) bool
	fault Fault
}

// Script sets faults for the next requests, one each, in order, after those that were set before.
// The zero Fault lets a request pass. Script panics if a Fault contradicts itself; so do the other
// methods that take a Fault.
func (f *Fake) Script(faults ...Fault) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, fault := range faults {
		f.faults.script = append(f.faults.script, fault.check())
	}
}

// Outage gives the fault to every request from now on for d.
func (f *Fake) Outage(d time.Duration, fault Fault) {
	now := time.Now()
	f.OutageBetween(now, now.Add(d), fault)
}

// OutageBetween gives the fault to every request that comes at from or later, and before to. Of
// overlapping outages the first one that was set applies.
func (f *Fake) OutageBetween(from, to time.Time, fault Fault) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.faults.outages = append(f.faults.outages, outage{from, to, fault.check()})
}

// Poison gives the fault to every request that match selects, until the returned function is
// called. match must not call the Fake. It gets the request without its answer. It is not called
// for a request that the script or an outage leaves unread.
func (f *Fake) Poison(match func(Request) bool, fault Fault) (stop func()) {
	p := &poison{match, fault.check()}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.faults.poisons = append(f.faults.poisons, p)
	return func() {
		f.mu.Lock()
		defer f.mu.Unlock()
		f.faults.poisons = slices.DeleteFunc(f.faults.poisons, func(q *poison) bool { return q == p })
	}
}

// Heal removes all faults. A request that already hangs or waits continues to do so.
func (f *Fake) Heal() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.faults = faultPlan{}
}

// unread returns the fault of a request that comes at now, if that fault leaves the body unread.
func (p *faultPlan) unread(now time.Time) (Fault, bool) {
	if fault, ok := p.outage(now); ok {
		return fault, fault.leavesUnread()
	}
	if len(p.script) > 0 && p.script[0].leavesUnread() {
		return p.scripted(), true
	}
	return Fault{}, false
}

// next returns the fault of a request whose body was read.
func (p *faultPlan) next(now time.Time, r Request) Fault {
	if fault, ok := p.outage(now); ok {
		return fault
	}
	for _, poison := range p.poisons {
		if poison.match(r) {
			return poison.fault
		}
	}
	if len(p.script) > 0 {
		return p.scripted()
	}
	return Fault{}
}

func (p *faultPlan) scripted() Fault {
	fault := p.script[0]
	p.script = p.script[1:]
	return fault
}

func (p *faultPlan) outage(now time.Time) (Fault, bool) {
	p.outages = slices.DeleteFunc(p.outages, func(o outage) bool { return !now.Before(o.to) })
	for _, o := range p.outages {
		if !now.Before(o.from) {
			return o.fault, true
		}
	}
	return Fault{}, false
}
