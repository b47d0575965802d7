package schedule

import (
	"time"

	"github.com/guance-relay/guance-relay/guance"
	"github.com/guance-relay/guance-relay/relay/store"
)

// An item is what a schedule remembers of an entry: only numbers, as a backlog may be long.
type item struct {
	seq    uint64
	time   int64 // event time in Unix nanoseconds, 0 if unknown
	kept   int64 // Entry.Kept in nanoseconds, never 0
	failed int32 // failures that counted
	state  uint8
	level  int8
	begun  bool // it may have been sent
	doubt  bool // Mark.Doubt of every mark from now on
}

func itemOf(e *store.Entry) item {
	return item{
		seq: e.Seq, time: nanos(e.Time), kept: max(int64(e.Kept), 1), failed: int32(e.Failed),
		state: uint8(e.State), level: int8(e.Level), begun: e.Begun,
	}
}

// mark returns a mark of the item, without At: the lane sets it, as it is wall time.
func (i *item) mark(problem string, o store.Outcome, reason string) store.Mark {
	return store.Mark{
		Seq: i.seq, Problem: problem, State: guance.State(i.state), Level: guance.Level(i.level),
		Time: moment(i.time), Failed: int(i.failed), Doubt: i.doubt, Outcome: o, Reason: reason,
	}
}

func (i *item) superseded(problem, reason string) store.Mark {
	return i.mark(problem, store.Superseded, reason)
}

// A Ticket is an entry in flight: it is with the sink, or its outcome is being written. The methods
// may be called from any goroutine.
type Ticket struct {
	problem *problem
	item    item
}

// Seq returns the sequence number of the entry.
func (t Ticket) Seq() uint64 { return t.item.seq }

// Attempt returns 1, plus the number of failures that counted before.
func (t Ticket) Attempt() int { return int(t.item.failed) + 1 }

// Kept returns when the entry was kept.
func (t Ticket) Kept() time.Time { return moment(t.item.kept) }

// Mark returns a mark of the entry, without the time. A zero outcome says that an attempt begins.
func (t Ticket) Mark(problem string, o store.Outcome, reason string) store.Mark {
	return t.item.mark(problem, o, reason)
}

// nanos and moment turn times into numbers and back. The zero time is 0.
func nanos(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixNano()
}

func moment(ns int64) time.Time {
	if ns == 0 {
		return time.Time{}
	}
	return time.Unix(0, ns).UTC()
}
