package relay

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/guance-relay/guance-relay/guance"
)

// Errors that a [Store] returns, wrapped with what happened. A caller branches on them with errors.Is.
var (
	// ErrFull: the store or its disk holds as much as it may. Nothing was kept; the same call may succeed once lanes have settled
	// entries or the disk has room.
	ErrFull = errors.New("the store is full")
	// ErrClosed: the store was closed. Nothing was kept.
	ErrClosed = errors.New("the store is closed")
	// ErrFenced: a later owner has the lane. The call changed nothing, and the caller must stop delivering for the lane.
	ErrFenced = errors.New("the lane has a newer owner")
	// ErrFailed: the disk refused a write or a sync. What was being written may or may not be there; the store takes no
	// further writes, because a sync that failed once can report success later without the data being safe.
	ErrFailed = errors.New("the store has failed")
	// ErrDamaged: what the store reads back is not what it wrote. Nothing was changed.
	ErrDamaged = errors.New("the store is damaged")
	// ErrNotFound: there is no such entry or dead letter. Nothing was changed.
	ErrNotFound = errors.New("no such entry")
)

// A DamagedError says which entries a store cannot even list. It is an [ErrDamaged].
type DamagedError struct {
	First, Last uint64 // sequence numbers; all that is pending between them
	Err         error
}

func (e *DamagedError) Error() string {
	return fmt.Sprintf("entries %d to %d cannot be read: %v", e.First, e.Last, e.Err)
}

func (e *DamagedError) Unwrap() error { return e.Err }

// An Entry is one event in one lane.
type Entry struct {
	// Lane is the name of the lane the entry belongs to.
	Lane string
	// Seq is the entry's place in its lane, from 1, ever growing. [Store.Append] assigns it.
	Seq uint64
	// ID names the event for duplicate detection; empty means that the event cannot be recognised when it comes again.
	ID string
	// Problem is the problem key, of 255 bytes at most.
	Problem string
	// State and Level are what the event says, kept so that a schedule can be made without reading bodies.
	State guance.State
	Level guance.Level
	// Time is when Guance says that the event happened; zero if it does not say.
	Time time.Time
	// Accepted is when the relay took the event, by the wall clock. It is for people: no age is counted from it.
	Accepted time.Time
	// Kept is the store's time, see [Store.Clock], at which the entry was appended, or revived. [Store.Append] sets it. The age of an
	// entry is counted from it.
	Kept time.Duration
	// Trace is the W3C traceparent of the webhook that brought the event; empty if it was not traced.
	Trace string
	// Begun says that an attempt may have put the entry on the wire.
	Begun bool
	// Failed is the number of attempts that had failed when the last one began.
	Failed int
	// Ignored, if not empty, is why the sink asks for nothing: [Store.Append] records the outcome at once.
	Ignored string
	// Body is the event as guance.Decode reads it.
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

// String returns the outcome's word, or "pending" for what has not ended.
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
	Level   guance.Level
	Time    time.Time
	Failed  int // attempts that failed before the one that begins
	// Doubt says of a problem that the answer to a request for it was lost: the target may have it and may handle it later than what
	// follows. Of a recovery that was delivered it says that this doubt remains, as the recovery was not sent a second time.
	Doubt   bool
	Outcome Outcome
	Reason  string // why, where the outcome does not say it all
	At      time.Time
}

// A Settlement is an entry that has ended.
type Settlement struct {
	Entry   // Body is set in a dead letter and nowhere else
	Outcome Outcome
	Reason  string
	At      time.Time
}

// A Record is what a store remembers of a problem after its entries are settled. The zero Record means that nothing of the
// problem was ever begun or settled, or that it is too long ago to matter.
type Record struct {
	// Last is the newest entry that carried a state and was begun or settled. No older entry may be replayed.
	Last uint64
	// Seq is the newest entry of the problem that may have been on the wire. No older entry may follow it.
	Seq uint64
	// Open says that something may be open at the target: a problem was begun, and no recovery delivered since.
	Open bool
	// Shown is the level of the newest problem that was delivered, LevelNone if there is none or it was resolved: what the
	// target shows as far as the relay knows.
	Shown guance.Level
	// Doubt says that the answer to a request for the problem was lost, and that no recovery was delivered and confirmed since. The
	// target may handle that request late, after the recovery, and so the recovery is sent twice, see [Relay].
	Doubt bool
	// Time is the newest event time that was begun or settled.
	Time time.Time
	// At is when the record last changed, by the wall clock. A store counts a record's age by its own time.
	At time.Time
}

// Apply returns the record after m. Every store uses it, so that all agree on what a mark means.
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
	// A recovery that was sent and whose answer is not known may not have arrived: only a delivered one closes.
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

// Holdings are what a store has of one lane.
type Holdings struct {
	Pending int // entries that are not settled
	Dead    int // dead letters that can be replayed
}

// A Store keeps entries until their lane settles them. It holds no policy: order, superseding, priority, budget, retries and age
// live in the lane, so that they are the same for every store, on one node or many. Accepting and delivering may happen in
// different processes: what joins them is the store and nothing else. All methods may be called concurrently.
//
// Every method answers [ErrClosed] after a close and [ErrFailed] after the store has failed. A call whose context has ended before it
// changed anything returns the context's error; once a write is on its way, it is waited for, so that an error other than ErrFailed
// always means that nothing was changed; whoever sends a webhook is told so. relay/storetest holds a store to all of this.
type Store interface {
	// Append keeps all entries or none, and returns nil only once they are durable. It sets each entry's Seq: sequence numbers of
	// a lane grow in the order in which entries become visible to Read. An entry whose lane has seen its ID within the store's
	// window is not stored again: its Seq is 0. The store keeps no reference to the entries or their bodies after it returns.
	Append(ctx context.Context, entries []*Entry) error
	// Acquire makes the caller the owner of a lane. An earlier owner's calls fail with ErrFenced from then on.
	Acquire(ctx context.Context, lane string) (Lease, error)
	// Clock returns the store's own time: for how long it has been in use, all processes that used it together. It grows steadily while
	// the store is open, whatever happens to the wall clock, and stands still while it is not. It is saved with each commit, so that it
	// is never less than Kept of an entry that the store has. What a store keeps for a time it keeps by this clock.
	Clock() time.Duration
	// Check returns nil if the store would take an entry now, and otherwise why not.
	Check(ctx context.Context) error
	// Holdings returns what there is of each lane that has anything, the lanes that nobody owns included.
	Holdings(ctx context.Context) (map[string]Holdings, error)
	// History returns how the entries of a problem ended, in sequence. A store keeps a bounded number of the newest settlements
	// of a lane and may have forgotten older ones.
	History(ctx context.Context, lane, problem string) ([]Settlement, error)
	// DeadLetters returns up to limit dead letters of a lane above after, in sequence and with their bodies.
	DeadLetters(ctx context.Context, lane string, after uint64, limit int) ([]Settlement, error)
}

// A Lease is the ownership of one lane. All methods may be called concurrently. Each fails with [ErrFenced] once another owner has
// the lane.
type Lease interface {
	// Read returns up to limit unsettled entries above after, in sequence and without bodies. It waits until there is at
	// least one or ctx ends. If the next entries cannot be read it returns a [*DamagedError], and those above its Last the next time.
	Read(ctx context.Context, after uint64, limit int) ([]*Entry, error)
	// Load returns an unsettled entry with its body, or ErrNotFound. The caller owns it.
	Load(ctx context.Context, seq uint64) (*Entry, error)
	// Records returns what is remembered of each problem, in the order asked for.
	Records(ctx context.Context, problems []string) ([]Record, error)
	// Mark makes all marks durable or none, before it returns nil. A mark of an entry that is settled already changes nothing. A record
	// that cannot be read is written anew, as that of a problem that may be open.
	Mark(ctx context.Context, marks []Mark) error
	// Revive makes a dead letter an unsettled entry again, in its old place, begun, with no failed attempt and with a new Kept, and
	// returns it without its body; ErrNotFound if there is none. Read need not return it to this owner again.
	Revive(ctx context.Context, seq uint64) (*Entry, error)
	// Drop deletes a dead letter for good, or returns ErrNotFound; its settlement stays.
	Drop(ctx context.Context, seq uint64) error
	// Release ends the ownership. Entries stay. Releasing what another owner has, or twice, is no error.
	Release() error
}
