package store

import (
	"time"

	"github.com/guance-relay/guance-relay/guance"
)

// An Entry is one event in one lane. An entry is pending until it has an [Outcome].
type Entry struct {
	// Lane is the name of the lane.
	Lane string
	// Seq is the place of the entry in its lane. It begins at 1 and grows.
	Seq uint64
	// ID identifies the event when its webhook is sent again. Empty: the event has no ID, and
	// is never taken for a duplicate.
	ID string
	// Problem is the problem key, of at most 255 bytes.
	Problem string
	// State and Level are those of the event. A schedule needs them and reads no bodies.
	State guance.State
	Level guance.Level
	// Time is when the event happened, according to Guance. Zero: Guance does not say.
	Time time.Time
	// Accepted is when the relay took the event, by the wall clock. It is shown to people. No
	// age is computed from it.
	Accepted time.Time
	// Kept is the time of the store's clock, see [Store.Clock], at which the entry was appended
	// or revived. The age of an entry counts from it.
	Kept time.Duration
	// Trace is the W3C traceparent of the webhook. Empty: the webhook was not traced.
	Trace string
	// Begun reports whether an attempt may have sent the entry.
	Begun bool
	// Failed is the number of failed attempts that counted when the last attempt began.
	Failed int
	// Sticky means that the lane did not want the event, and got it because it held the problem,
	// see [Store.Append]. Such an entry is sent only if it ends or changes what the target shows.
	Sticky bool
	// Body is the event, as guance.Decode reads it.
	Body []byte
}

// An Outcome is how an entry ended. The numbers are on disk and are never reused.
type Outcome uint8

// There are four outcomes. Zero means pending.
const (
	Delivered  Outcome = 1 // the sink took it
	Superseded Outcome = 2 // a newer event of its problem replaced it before it was sent
	Ignored    Outcome = 3 // the sink does nothing with it
	Dead       Outcome = 4 // given up, with the reason; it is kept and can be replayed
)

// String returns the name of the outcome, or "pending" for zero.
func (o Outcome) String() string {
	switch o {
	case Delivered:
		return "delivered"
	case Superseded:
		return "superseded"
	case Ignored:
		return "ignored"
	case Dead:
		return "dead"
	}
	return "pending"
}

// A Mark records the progress of one entry. A zero Outcome means that an attempt is about to begin.
type Mark struct {
	Seq     uint64
	Problem string
	State   guance.State
	Level   guance.Level
	Time    time.Time
	Failed  int // attempts that failed before the one that begins
	// Doubt means that the answer to a request of the problem was lost. The target may handle
	// that request late, after a newer one. In the mark of a delivered recovery, it means that
	// the doubt remains, because the recovery was not sent a second time.
	Doubt   bool
	Outcome Outcome
	Reason  string // why, where the outcome does not say it all
	At      time.Time
}

// A Settlement is an entry that has ended.
type Settlement struct {
	Entry   // Body is set in a dead letter, and nowhere else
	Outcome Outcome
	Reason  string
	At      time.Time
}
