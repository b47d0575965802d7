package store

import (
	"time"

	"github.com/guance-relay/guance-relay/guance"
)

// A Batch is what one call of [Store.Append] keeps: all of it or nothing.
type Batch struct {
	// Nonce identifies the call, for a caller who repeats it after [ErrUnavailable]. If the batch
	// was kept under this nonce within the last minutes, Append keeps nothing, and reports what it
	// reported then. A store that never returns ErrUnavailable ignores it. Empty: no repetition is
	// recognised.
	Nonce string
	// Events are routed one after the other: each sees what the earlier ones left in the lanes.
	Events []*Event
	// Served are the lanes of the caller that have a sink. A lane without one takes part in routing,
	// but sends nothing, and so the fallback gets an event that only such a lane gets.
	Served []string
}

// An Event is one event and the lanes that it is offered to. Its other fields become those of its
// entries, see [Entry].
type Event struct {
	// Source is who sent the event. A store remembers a bounded number of IDs of each source.
	Source   string
	ID       string
	Problem  string
	State    guance.State
	Level    guance.Level
	Time     time.Time
	Accepted time.Time
	Trace    string
	Body     []byte

	// Wanted are the lanes that want the event, each once.
	Wanted []Offer
	// Fallback is the lane that gets the event if no other takes it, see [Store.Append]. Nil: there
	// is none.
	Fallback *Offer

	// Follows means that the event does not say what it could be routed by, as the bodies of an
	// Issue, which carry no tags. It goes where the problem is: the fallback gets it only if no
	// other lane in Batch.Served holds the problem, even if it does not show the problem.
	Follows bool

	// Duplicate and Placed are set by Append. Duplicate means that an event with this ID was kept
	// before.
	Duplicate bool
	// Placed are the entries that the event became, one for each lane that got it. There is none
	// for a duplicate, and for an event that no lane took.
	Placed []Placement
}

// An Offer is a lane that is to get an event.
type Offer struct {
	Lane string
	// Ignored is why the sink of the lane does nothing with the event. If it is not empty, the
	// entry has ended at once, with the outcome [Ignored].
	Ignored string
}

// A Placement is the place of an event in one lane.
type Placement struct {
	// Lane is the name that the batch has for the lane. A lane that the batch does not name has its
	// present name, see [Store.Rename].
	Lane    string
	Seq     uint64
	Sticky  bool    // the lane got the event because it held the problem
	Outcome Outcome // 0: the entry is pending; otherwise Ignored, or Dead with LaneFull as reason
}

// LaneFull is the reason of a dead letter that [Store.Append] made because its lane held as many
// pending entries as one lane may.
const LaneFull = "lane full"
