package store

import (
	"time"

	"github.com/guance-relay/guance-relay/guance"
)

// A Record is what a store remembers of a problem in a lane after its entries have ended. The zero
// Record means that no entry of the problem was begun or settled, or too long ago to matter.
type Record struct {
	// Last is the newest entry with a state that was begun or settled. Older entries must not be
	// replayed.
	Last uint64
	// Seq is the newest entry that may have been sent. Older entries must not be sent after it.
	Seq uint64
	// Open reports whether the target may show the problem: an attempt to send it was begun, and
	// no recovery was delivered since.
	Open bool
	// Shown is the level that the target shows, as far as the relay knows: that of the newest
	// problem event that was delivered. LevelNone: there is none, or it was resolved.
	Shown guance.Level
	// Doubt reports whether the answer to a request was lost, and no recovery was delivered and
	// confirmed since. The target may handle that request after the recovery. Therefore the
	// recovery is sent twice.
	Doubt bool
	// Time is the newest event time that was begun or settled.
	Time time.Time
	// At is when the record last changed, by the wall clock. A store computes the age of a record
	// by its own clock.
	At time.Time
}

// An OpenProblem is a problem that the target of a lane may show, with its record.
type OpenProblem struct {
	Problem string
	Record  Record
}

// Apply returns the record after m. Every store uses it, so that a mark means the same everywhere.
func (r Record) Apply(m Mark) Record {
	r.At = m.At
	if m.Outcome == 0 {
		r.Seq = max(r.Seq, m.Seq)
	}
	if m.State == guance.StateNeither {
		return r
	}
	r.Last = max(r.Last, m.Seq)
	if m.Time.After(r.Time) {
		r.Time = m.Time
	}
	if m.State == guance.StateProblem && m.Doubt {
		r.Doubt = true
	}
	// A recovery without an answer may not have arrived. Only a delivered one closes the problem.
	switch {
	case m.State == guance.StateProblem && m.Outcome == 0:
		r.Open = true
	case m.State == guance.StateProblem && m.Outcome == Delivered:
		r.Open, r.Shown = true, m.Level
	case m.State == guance.StateRecovered && m.Outcome == Delivered:
		r.Open, r.Shown, r.Doubt = false, guance.LevelNone, m.Doubt
	}
	return r
}
