package relay

import (
	"context"
	"errors"
	"time"

	"github.com/guance-relay/guance-relay/guance"
)

// Errors that a [Store] returns, wrapped with what happened. A caller branches on them with errors.Is.
var (
	// ErrFull: the store holds as much as it may. Nothing was kept; the same call may succeed once lanes have settled entries.
	ErrFull = errors.New("the store is full")
	// ErrClosed: the store was closed. Nothing was kept.
	ErrClosed = errors.New("the store is closed")
	// ErrFenced: a later owner has the lane. The call changed nothing, and the caller must stop delivering for the lane.
	ErrFenced = errors.New("the lane has a newer owner")
	// ErrFailed: the disk refused a write or a sync. What was being written may or may not be there; the store takes no
	// further writes, because a sync that failed once can report success later without the data being safe.
	ErrFailed = errors.New("the store has failed")
	// ErrNotFound: there is no such dead letter. Nothing was changed.
	ErrNotFound = errors.New("no such dead letter")
)

// An Entry is one event in one lane.
type Entry struct {
	// Lane is the name of the lane the entry belongs to.
	Lane string
	// Seq is the entry's place in its lane, from 1, ever growing. [Store.Append] assigns it.
	Seq uint64
	// ID names the event for duplicate detection; empty means that the event cannot be recognised when it comes again.
	ID string
	// Problem is the problem key.
	Problem string
	// State and Level are what the event says, kept so that a schedule can be made without reading bodies.
	State guance.State
	Level guance.Level
	// Time is when Guance says that the event happened; zero if it does not say.
	Time time.Time
	// Accepted is when the relay took the event.
	Accepted time.Time
	// Begun says that an attempt may have put the entry on the wire.
	Begun bool
	// Ignored, if not empty, is why the sink asks for nothing: [Store.Append] records the outcome at once.
	Ignored string
	// Body is the event as guance.Decode reads it. Read leaves it nil.
	Body []byte
}

// An Outcome is how an entry ended. The numbers are on disk: they are never reused.
type Outcome uint8

// The four outcomes; there is no fifth.
const (
	Delivered  Outcome = 1 // the sink took it
	Superseded Outcome = 2 // a newer event of its problem took its place before it was sent
	Ignored    Outcome = 3 // the sink's mapping asks for nothing
	Dead       Outcome = 4 // given up, with the reason; kept so that it can be replayed
)

// String returns the outcome's word.
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

// A Mark records how far one entry has gone. A Mark with the zero Outcome says that an attempt is about to begin.
type Mark struct {
	Seq     uint64
	Problem string
	State   guance.State
	Time    time.Time
	Outcome Outcome
	Reason  string
}

// A Settlement is an entry that has ended.
type Settlement struct {
	Entry   // Body is set in a dead letter and nowhere else
	Outcome Outcome
	Reason  string // why, where the outcome does not say it all
	At      time.Time
}

// A Record is what a store remembers of a problem after its entries are settled.
type Record struct {
	// Last is the newest entry that carried a state and was begun or settled. No older entry may be replayed.
	Last uint64
	// Seq is the newest entry of the problem that may have been on the wire. No older entry may follow it.
	Seq uint64
	// Open says that the newest entry on the wire which carried a state said "problem": something may be open at the target.
	Open bool
	// Time is the newest event time that was settled.
	Time time.Time
}

// Apply returns the record after m. Every store uses it, so that all agree on what a mark means.
func (r Record) Apply(m Mark) Record {
	if m.Outcome == 0 && m.Seq > r.Seq {
		r.Seq = m.Seq
		if m.State != guance.StateNeither {
			r.Open = m.State == guance.StateProblem
		}
	}
	if m.State != guance.StateNeither {
		r.Last = max(r.Last, m.Seq)
		if m.Time.After(r.Time) {
			r.Time = m.Time
		}
	}
	return r
}

// A Store keeps entries until their lane settles them. It holds no policy: order, superseding, budget and retries live in
// the lane, so that they are the same for every store. All methods may be called concurrently.
type Store interface {
	// Append keeps all entries or none, and returns nil only once they are durable. It sets each entry's Seq. An entry whose
	// lane has seen its ID within the store's window is not stored again: its Seq stays 0. The store keeps no reference to
	// the entries or their bodies after it returns.
	Append(ctx context.Context, entries []*Entry) error
	// Acquire makes the caller the owner of a lane. An earlier owner's calls fail with ErrFenced from then on.
	Acquire(ctx context.Context, lane string) (Lease, error)
	// Check returns nil if the store would take an entry now.
	Check(ctx context.Context) error
	// Pending returns the number of unsettled entries of each lane that has any, the lanes that nobody owns included.
	Pending(ctx context.Context) (map[string]int, error)
	// History returns how the entries of a problem ended, oldest first. A store keeps a bounded number of the newest
	// settlements of a lane and may have forgotten older ones.
	History(ctx context.Context, lane, problem string) ([]Settlement, error)
	// DeadLetters returns up to limit dead letters of a lane above after, in sequence and with their bodies.
	DeadLetters(ctx context.Context, lane string, after uint64, limit int) ([]Settlement, error)
}

// A Lease is the ownership of one lane. All methods may be called concurrently.
type Lease interface {
	// Read returns up to limit unsettled entries above after, in sequence and without bodies. It waits until there is at
	// least one or ctx ends.
	Read(ctx context.Context, after uint64, limit int) ([]*Entry, error)
	// Load returns the body of an unsettled entry. The caller owns the slice.
	Load(ctx context.Context, seq uint64) ([]byte, error)
	// Record returns what is remembered of a problem; the zero Record means that nothing of it was ever on the wire.
	Record(ctx context.Context, problem string) (Record, error)
	// Mark makes all marks durable or none, before it returns nil.
	Mark(ctx context.Context, marks []Mark) error
	// Revive makes a dead letter an unsettled entry again, in its old place. The entry counts as begun. Read need not return it
	// to this owner again.
	Revive(ctx context.Context, seq uint64) (*Entry, error)
	// Drop deletes a dead letter for good; its settlement stays.
	Drop(ctx context.Context, seq uint64) error
	// Release ends the ownership. Entries stay.
	Release() error
}
