// Package store is the contract between a relay and what keeps its events.
//
// A program opens a store and gives it to relay.New:
//
//	db, err := boltstore.Open("relay-data", nil) // one process, one file
//	r, err := relay.New(db, nil)
//
// To write a store, implement [Store], [Lease] and [Lane], and test them with package storetest.
//
// A store keeps entries and the progress of each, and decides which lanes get an event. It decides
// nothing else: order, priority, superseding, budget, retries and expiry are the relay's, and
// therefore the same for every store.
//
// One process may accept events and another may deliver them. The store is all that joins the two.
package store

import (
	"context"
	"time"
)

// A Store keeps entries until they are settled. All methods may be called concurrently.
//
// Every method returns [ErrClosed] after the store was closed, and [ErrFailed] after it has failed.
// A call whose context ends before it has changed anything returns the context's error. Once a
// write has begun, the call waits for it. So every error but ErrFailed and [ErrUnavailable] means
// that nothing was changed, and the sender of a webhook is told so.
type Store interface {
	// Append keeps all events of a batch or none. It returns nil only once they are durable.
	//
	// Duplicates: an event with the ID of an earlier event of its source that was kept is a
	// duplicate, and nothing of it is kept. A store remembers a bounded number of IDs of each
	// source.
	//
	// Routing: an event becomes an entry of each lane that it names as Wanted, and a sticky entry
	// of each other lane that holds its problem. A lane holds a problem that has a pending entry
	// or a dead letter there, or an open [Record]. If Wanted is empty, Fallback gets the event as if
	// it were Wanted, unless another lane in Batch.Served goes on to show the problem: it has an
	// open record of it, and no pending recovery. An event that becomes no entry is not kept, and
	// its ID is not remembered. [Event.Follows] is the exception to this.
	//
	// Entries: the sequence numbers of a lane grow in the order in which its entries become
	// visible to Read. The entry of an Offer that is ignored ends at once. An entry beyond the
	// number of pending ones that one lane may hold becomes a dead letter at once, as after a
	// [Mark] without Time, and the other lanes keep theirs: its time must not make late what is
	// pending. [ErrFull] means that the store as a whole is full.
	//
	// The store keeps no reference to the batch or its bodies.
	Append(ctx context.Context, b *Batch) error
	// Rename makes to the name of lane from. From then on both names mean that lane, in every
	// method, so a process that still uses the old one loses nothing. What a method returns has the
	// new one. Rename remembers names that were not used yet. It ends the ownership of the lane,
	// unless the lane has the name already: then it changes nothing. It returns [ErrInUse] if the
	// names mean two lanes that both had entries.
	Rename(ctx context.Context, from, to string) error
	// Renamed returns each earlier name of a lane with the name that the lane has now.
	Renamed(ctx context.Context) (map[string]string, error)
	// Acquire makes the caller the owner of a group of lanes. It waits while one of the lanes
	// has an owner in another process that is alive, see [Cluster]. An earlier owner in this
	// process loses its lease at once.
	Acquire(ctx context.Context, g Group) (Lease, error)
	// Clock returns the store's own time: how long the store has been in use, by all processes
	// together. It grows steadily while the store is open, whatever happens to the wall clock,
	// and stands still while the store is closed. It is saved with each commit, so that it is
	// never less than Kept of an entry. Whatever a store keeps for a time, it keeps by this
	// clock.
	Clock() time.Duration
	// Check returns nil if the store would take an entry now, and otherwise the reason.
	Check(ctx context.Context) error
	// Holdings returns what the store has of each lane, with or without an owner. A lane of which
	// it has nothing is left out.
	Holdings(ctx context.Context) (map[string]Holdings, error)
	// History returns how the entries of a problem ended, by sequence number. A store keeps a
	// bounded number of settlements for each lane. The oldest are forgotten first.
	History(ctx context.Context, lane, problem string) ([]Settlement, error)
	// DeadLetters returns up to limit dead letters of a lane with a sequence number above after,
	// by sequence number and with their bodies.
	DeadLetters(ctx context.Context, lane string, after uint64, limit int) ([]Settlement, error)
	// OpenProblems returns up to limit problems of a lane that have an open [Record], in the
	// store's own order. from is where to begin: empty, or what the page before returned as next.
	// next is empty after the last page. A problem whose record changes between two pages may be in
	// both or in none. A record that cannot be read counts as open.
	OpenProblems(ctx context.Context, lane, from string, limit int) (open []OpenProblem, next string,
		err error)
}

// A Group is a set of lanes that have one owner, because they share the budget of one account at
// the target: two owners would each spend all of it.
type Group struct {
	Node  string   // the name of the process among those that use the store; may be empty
	Name  string   // of the account, or of the lane if it has an account of its own
	Lanes []string // at least one
}

// Holdings are what a store has of one lane.
type Holdings struct {
	Pending int // entries without an outcome
	Dead    int // dead letters
}

// A Lease is the ownership of a group of lanes. All methods may be called concurrently.
type Lease interface {
	// Lane returns a lane of the group. It panics if the group does not name the lane.
	Lane(name string) Lane
	// Lost returns a channel that is closed once the ownership has ended: by Release, by another
	// owner of one of the lanes, by its time, or because the store was closed or has failed.
	Lost() <-chan struct{}
	// Until returns when the ownership ends unless the store renews it before. The time has a
	// monotonic reading. Zero: it has no end.
	Until() time.Time
	// Release ends the ownership. The entries stay. To release a lease that has ended is no error.
	Release() error
}

// A Lane is what the owner of a lane may do with it. All methods may be called concurrently. Each
// returns [ErrFenced] once the lease has ended.
type Lane interface {
	// Read returns up to limit pending entries with a sequence number above after, by sequence
	// number and without bodies. It waits until there is at least one or ctx ends. If the next
	// entries cannot be read, Read returns a [*DamagedError]; the caller goes on after its Last.
	Read(ctx context.Context, after uint64, limit int) ([]*Entry, error)
	// Load returns a pending entry with its body, or ErrNotFound. The caller owns the entry.
	Load(ctx context.Context, seq uint64) (*Entry, error)
	// Records returns the record of each problem, in the order of the arguments.
	Records(ctx context.Context, problems []string) ([]Record, error)
	// Mark makes all marks durable or none, before it returns. A mark of an entry that has ended
	// changes nothing. A record that cannot be read is replaced by that of a problem that may be
	// open.
	Mark(ctx context.Context, marks []Mark) error
	// Revive makes a dead letter pending again: in its old place, begun, with no failed attempt
	// and a new Kept. It returns the entry without its body, or ErrNotFound. Read need not
	// return the entry to this owner again.
	Revive(ctx context.Context, seq uint64) (*Entry, error)
	// Drop deletes a dead letter, or returns ErrNotFound. Its settlement stays.
	Drop(ctx context.Context, seq uint64) error
	// SetPause makes a pause durable, in place of the last one. Every later owner finds it.
	SetPause(ctx context.Context, p Pause) error
	// Pause returns the pause that was set last.
	Pause(ctx context.Context) (Pause, error)
}
