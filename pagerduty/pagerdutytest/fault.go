package pagerdutytest

import (
	"fmt"
	"maps"
	"net/http"
	"time"
)

// Connection is what a [Fault] does to the connection.
type Connection int

// The ways a connection can go wrong.
const (
	// Healthy answers as it should.
	Healthy Connection = iota
	// Refuse lets no connection come about: a Transport fails to dial. A
	// Server, which has the connection by then, does as for DropBeforeRead.
	Refuse
	// DropBeforeRead resets the connection without reading the event.
	DropBeforeRead
	// DropAfterRead reads the event, ingests it if Ingest is set, and resets
	// the connection without an answer.
	DropAfterRead
	// Hang reads the event, ingests it if Ingest is set, and never answers;
	// it ends when the client gives up or the Server closes.
	Hang
	// CutAnswer sends the head and half of the answer's body and breaks off.
	CutAnswer
)

// Fault is a way to fail. The zero Fault is none: the event is treated as
// PagerDuty would. Fields combine: a Delay, then a Status.
type Fault struct {
	// Delay comes before the answer, or before the connection breaks. What
	// becomes of the event is settled before it.
	Delay time.Duration

	// Status, from 100 to 999, is answered instead of looking at the event.
	// Zero: the event is treated as usual, and whatever else is set applies
	// to that. A status below 200 is no final answer over a network: a
	// Server resets the connection after it.
	Status int
	// Body replaces the body, with whatever garbage. If it is empty, the
	// fake says what PagerDuty is known to say with that Status, or else
	// nothing. NoBody has it say nothing at all.
	Body   string
	NoBody bool
	// ContentType replaces the type of the body, which is application/json
	// for a Body.
	ContentType string
	// RetryAfter and Location set those headers.
	RetryAfter string
	Location   string
	// Header is added to the answer.
	Header http.Header

	// Connection is what happens to the connection. With all but Healthy
	// and CutAnswer there is no answer, and the fields for one do nothing.
	Connection Connection
	// Ingest takes the event in although the answer denies it or never
	// comes, as when an answer is lost on its way.
	Ingest bool
	// IngestAfter takes the event in that long after it was read, as when a
	// queue in front of PagerDuty hands it on after the client gave up: a trigger
	// that is handled after its resolve opens an incident again. The event
	// then meets the rules and the rate of that moment, and nobody hears the
	// answer. It needs a Status or a Connection that does not answer, and stands in
	// place of Ingest. Heal does not take it back; Reset does.
	IngestAfter time.Duration
}

// check panics for a fault that cannot be: no test should run without it.
func (f Fault) check() Fault {
	switch {
	case f.Status != 0 && (f.Status < 100 || f.Status > 999):
		panic(fmt.Sprintf("pagerdutytest: Fault with status %d, which is not from 100 to 999", f.Status))
	case f.Connection < Healthy || f.Connection > CutAnswer:
		panic(fmt.Sprintf("pagerdutytest: Fault with unknown Connection %d", f.Connection))
	case f.Ingest && f.leavesUnread():
		panic("pagerdutytest: Fault with Ingest and a Connection that leaves the event unread")
	case f.IngestAfter < 0:
		panic(fmt.Sprintf("pagerdutytest: Fault with IngestAfter %v, which is in the past", f.IngestAfter))
	case f.IngestAfter > 0 && (f.leavesUnread() || f.Ingest || f.Status == 0 && f.answers()):
		panic("pagerdutytest: Fault with IngestAfter and an event that is unread or ingested at once")
	}
	f.Header = f.Header.Clone() // the caller's may change
	return f
}

// leavesUnread reports whether nobody reads the event.
func (f Fault) leavesUnread() bool { return f.Connection == Refuse || f.Connection == DropBeforeRead }

// ingests reports whether the event is looked at.
func (f Fault) ingests() bool { return f.Ingest || f.Status == 0 && f.answers() }

// answers reports whether there is an answer, whole or not.
func (f Fault) answers() bool { return f.Connection == Healthy || f.Connection == CutAnswer }

// apply makes of PagerDuty's answer the one that is given.
func (f Fault) apply(a answer) answer {
	if f.Status != 0 {
		a = usual(f.Status)
	}
	if f.Body != "" {
		a.body, a.contentType = f.Body, jsonType
	}
	if f.NoBody {
		a.body, a.contentType = "", ""
	}
	if f.ContentType != "" {
		a.contentType = f.ContentType
	}
	header := a.header.Clone()
	if header == nil {
		header = make(http.Header)
	}
	maps.Copy(header, f.Header.Clone())
	for name, value := range map[string]string{
		"Content-Type": a.contentType, "Retry-After": f.RetryAfter, "Location": f.Location,
	} {
		if value != "" {
			header.Set(name, value)
		}
	}
	a.header = header
	return a
}
