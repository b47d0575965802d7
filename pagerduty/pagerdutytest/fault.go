package pagerdutytest

import (
	"fmt"
	"maps"
	"net/http"
	"time"
)

// Connection says what a [Fault] does to the connection.
type Connection int

// The faults of a connection.
const (
	// Healthy answers normally.
	Healthy Connection = iota
	// Refuse makes a Transport fail to dial. A Server, which already has the connection, does the same
	// as for DropBeforeRead.
	Refuse
	// DropBeforeRead resets the connection without reading the event.
	DropBeforeRead
	// DropAfterRead reads the event, ingests it if Ingest is set, and resets the connection without an
	// answer.
	DropAfterRead
	// Hang reads the event, ingests it if Ingest is set, and never answers. It ends when the client
	// gives up or the Server closes.
	Hang
	// CutAnswer sends the header and half of the body, and then closes the connection.
	CutAnswer
)

// Fault is a way to fail. The zero Fault is no fault. Fields combine, for example a Delay and a
// Status.
type Fault struct {
	// Delay is the wait before the answer, or before the connection breaks. The event is handled
	// before the wait.
	Delay time.Duration

	// Status, from 100 to 999, is the answer, and the event is not handled. Zero: the event is handled
	// as usual, and the other fields change that answer. A status below 200 is not a final answer: a
	// Server resets the connection after it.
	Status int
	// Body replaces the body. If it is empty, the body is what PagerDuty is known to send with Status,
	// if anything. NoBody sends no body.
	Body   string
	NoBody bool
	// ContentType replaces the Content-Type, which is application/json for a Body.
	ContentType string
	// RetryAfter and Location set those headers.
	RetryAfter string
	Location   string
	// Header is added to the answer.
	Header http.Header

	// Connection says what happens to the connection. All but Healthy and CutAnswer send no answer,
	// and the fields for the answer have no effect.
	Connection Connection
	// Ingest accepts the event although the answer says otherwise or never comes, as when an answer is
	// lost.
	Ingest bool
	// IngestAfter accepts the event that long after it was read, as when a queue in front of PagerDuty
	// passes it on after the client gave up: a trigger that is handled after its resolve opens an
	// incident again. The rules and the rate limit of that later moment apply, and the client gets no
	// answer from it. It needs a Status, or a Connection that does not answer, and excludes Ingest.
	// Heal does not cancel it; Reset does.
	IngestAfter time.Duration
}

// check panics for a fault that contradicts itself, so that no test runs with it.
func (f Fault) check() Fault {
	switch {
	case f.Status != 0 && (f.Status < 100 || f.Status > 999):
		panic(fmt.Sprintf("pagerdutytest: Fault with status %d, which is not from 100 to 999", f.Status))
	case f.Connection < Healthy || f.Connection > CutAnswer:
		panic(fmt.Sprintf("pagerdutytest: Fault with unknown Connection %d", f.Connection))
	case f.Ingest && f.leavesUnread():
		panic("pagerdutytest: Fault with Ingest and a Connection that leaves the event unread")
	case f.IngestAfter < 0:
		panic(fmt.Sprintf("pagerdutytest: Fault with IngestAfter %v, which is in the past",
			f.IngestAfter))
	case f.IngestAfter > 0 && (f.leavesUnread() || f.Ingest || f.Status == 0 && f.answers()):
		panic("pagerdutytest: Fault with IngestAfter and an event that is unread or ingested at once")
	}
	f.Header = f.Header.Clone() // the caller may change its own
	return f
}

// leavesUnread reports whether the body stays unread.
func (f Fault) leavesUnread() bool {
	return f.Connection == Refuse ||
		f.Connection == DropBeforeRead
}

// ingests reports whether the event is handled.
func (f Fault) ingests() bool { return f.Ingest || f.Status == 0 && f.answers() }

// answers reports whether there is an answer, complete or not.
func (f Fault) answers() bool { return f.Connection == Healthy || f.Connection == CutAnswer }

// apply returns the response with the fields of the fault applied.
func (f Fault) apply(r response) response {
	if f.Status != 0 {
		r = defaultResponse(f.Status)
	}
	if f.Body != "" {
		r.body, r.contentType = f.Body, jsonType
	}
	if f.NoBody {
		r.body, r.contentType = "", ""
	}
	if f.ContentType != "" {
		r.contentType = f.ContentType
	}
	header := r.header.Clone()
	if header == nil {
		header = make(http.Header)
	}
	maps.Copy(header, f.Header.Clone())
	for name, value := range map[string]string{
		"Content-Type": r.contentType, "Retry-After": f.RetryAfter, "Location": f.Location,
	} {
		if value != "" {
			header.Set(name, value)
		}
	}
	r.header = header
	return r
}
