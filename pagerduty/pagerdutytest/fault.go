package pagerdutytest

import (
	"net/http"
	"time"
)

// Connection is what a [Fault] does to the connection.
type Connection int

// The ways a connection can go wrong.
const (
	// Healthy answers as it should.
	Healthy Connection = iota
	// DropBeforeRead resets the connection without reading the event.
	DropBeforeRead
	// DropAfterRead reads the event, ingests it if Ingest is set, and resets
	// the connection without an answer.
	DropAfterRead
	// Hang reads the event, ingests it if Ingest is set, and never answers;
	// it ends when the client gives up or the Server closes.
	Hang
	// CutAnswer sends the head and half of the answer's body and resets.
	CutAnswer
)

// Fault is a way to fail. The zero Fault is none: the event is treated as
// PagerDuty would. Faults combine: a Delay, then a Status.
type Fault struct {
	// Delay comes before the answer, or before the connection breaks.
	Delay time.Duration

	// Status is answered instead of looking at the event. Zero: the event
	// is treated as usual, and whatever else is set applies to that.
	Status int
	// Body replaces the body; for a Status without one, the fake says what
	// PagerDuty is known to say with that status.
	Body string
	// ContentType replaces application/json.
	ContentType string
	// RetryAfter and Location set those headers.
	RetryAfter string
	Location   string
	// Header is added to the answer.
	Header http.Header

	// Connection is what happens to the connection.
	Connection Connection
	// Ingest takes the event in although the answer denies it or never
	// comes, as when an answer is lost on its way.
	Ingest bool
}

// ingests reports whether the event is looked at.
func (f Fault) ingests() bool {
	return f.Ingest || f.Status == 0 && f.answers()
}

// answers reports whether there is an answer, whole or not.
func (f Fault) answers() bool {
	return f.Connection == Healthy || f.Connection == CutAnswer
}

// answer is that of a fault with a Status.
func (f Fault) answer() answer {
	a := answer{status: f.Status, contentType: "application/json", header: http.Header{}, body: f.Body}
	if a.body == "" {
		a.body = usualBody(f.Status)
	}
	return f.overlay(a)
}

func (f Fault) overlay(a answer) answer {
	if f.Body != "" {
		a.body = f.Body
	}
	if f.ContentType != "" {
		a.contentType = f.ContentType
	}
	if a.header == nil {
		a.header = http.Header{}
	}
	for name, values := range f.Header {
		a.header[name] = values
	}
	if f.RetryAfter != "" {
		a.header.Set("Retry-After", f.RetryAfter)
	}
	if f.Location != "" {
		a.header.Set("Location", f.Location)
	}
	return a
}

// usualBody is what PagerDuty is known to say with a status.
func usualBody(status int) string {
	switch {
	case status == http.StatusTooManyRequests:
		return throttleBody
	case status >= 500:
		return `{"status":"error","message":"Internal Server Error","errors":[]}`
	}
	return ""
}

// faultPlan is which request meets which fault. An outage comes before a
// poison and a poison before the script.
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

// Script sets faults for the coming requests, one each, in order, after those
// set before. The zero Fault lets a request pass.
func (f *Fake) Script(faults ...Fault) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.faults.script = append(f.faults.script, faults...)
}

// Outage makes every request fail from now on for d.
func (f *Fake) Outage(d time.Duration, fault Fault) {
	now := time.Now()
	f.OutageBetween(now, now.Add(d), fault)
}

// OutageBetween makes every request fail that comes at from or later and
// before to.
func (f *Fake) OutageBetween(from, to time.Time, fault Fault) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.faults.outages = append(f.faults.outages, outage{from, to, fault})
}

// Poison makes every request fail that match picks, until the function it
// returns is called. match must not call the Fake.
func (f *Fake) Poison(match func(Request) bool, fault Fault) (cure func()) {
	p := &poison{match, fault}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.faults.poisons = append(f.faults.poisons, p)
	return func() {
		f.mu.Lock()
		defer f.mu.Unlock()
		p.match = func(Request) bool { return false }
	}
}

// Heal ends every fault, present and scripted.
func (f *Fake) Heal() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.faults = faultPlan{}
}

// faultUnread takes the fault of a request that comes at now if it is one for
// which the body stays unread. Poisons are not asked: they look at the event.
func (f *Fake) faultUnread(now time.Time) (Fault, bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if o, ok := f.faults.outage(now); ok {
		return o, o.Connection == DropBeforeRead
	}
	if s := f.faults.script; len(s) > 0 && s[0].Connection == DropBeforeRead {
		f.faults.script = s[1:]
		return s[0], true
	}
	return Fault{}, false
}

func (p *faultPlan) outage(now time.Time) (Fault, bool) {
	for _, o := range p.outages {
		if !now.Before(o.from) && now.Before(o.to) {
			return o.fault, true
		}
	}
	return Fault{}, false
}

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
		fault := p.script[0]
		p.script = p.script[1:]
		return fault
	}
	return Fault{}
}
