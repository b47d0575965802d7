package boltstore

import (
	"context"
	"fmt"

	"github.com/guance-relay/guance-relay/relay/store"
)

// Limits of an event. The contract allows problem keys of 255 bytes; one of 32 KiB would exceed
// bbolt's limit and fail the commit of all others.
const (
	maxName    = 255
	maxProblem = 4096
	maxBody    = 64 << 20
)

// Append implements [store.Store]. The name of a lane has 1 to 255 bytes, that of a source at most
// 255, a problem key at most 4,096, and the body of an event at most 64 MiB. Append refuses other
// events.
func (s *Store) Append(ctx context.Context, b *store.Batch) error {
	op := &appendOp{store: s, served: b.Served, events: make([]newEvent, len(b.Events))}
	for i, e := range b.Events {
		var err error
		if op.events[i], err = makeEvent(e); err != nil {
			return fmt.Errorf("boltstore: %w; nothing was kept", err)
		}
	}
	return s.submit(ctx, op)
}

// An appendOp adds the events of one call.
type appendOp struct {
	store  *Store
	served []string
	events []newEvent
	size   int64 // 0: not computed yet
}

// A newEvent is an event that is not in the file yet. The caller encodes its header and computes
// its hashes, so that the committer need not, and all lanes use them.
type newEvent struct {
	*store.Event
	header  []byte
	id      hash // of the ID; zero if there is none
	problem uint64
	// Set by check:
	duplicate bool
	places    []place
}

func makeEvent(e *store.Event) (newEvent, error) {
	for _, o := range e.Wanted {
		if err := checkLane(o.Lane); err != nil {
			return newEvent{}, err
		}
	}
	if e.Fallback != nil {
		if err := checkLane(e.Fallback.Lane); err != nil {
			return newEvent{}, err
		}
	}
	switch {
	case len(e.Source) > maxName:
		return newEvent{}, fmt.Errorf("the name of a source has %d bytes; at most %d are allowed",
			len(e.Source), maxName)
	case len(e.Problem) > maxProblem:
		return newEvent{}, fmt.Errorf("a problem key has %d bytes; at most %d are allowed",
			len(e.Problem), maxProblem)
	case len(e.Body) > maxBody:
		return newEvent{}, fmt.Errorf("an event has %d bytes; at most %d are allowed",
			len(e.Body), maxBody)
	}
	n := newEvent{Event: e, header: encodeHeader(e), problem: hashProblem(e.Problem)}
	if e.ID != "" {
		n.id = hashID(e.ID)
	}
	return n, nil
}

func checkLane(name string) error {
	if name == "" || len(name) > maxName {
		return fmt.Errorf("the name of a lane has %d bytes; it must have 1 to %d",
			len(name), maxName)
	}
	return nil
}

// size returns how many bytes of the file count for the event in each lane.
func (n *newEvent) size() uint32 { return uint32(len(n.header) + len(n.Body)) }

// bytes counts each lane that wants an event or holds its problem now.
func (op *appendOp) bytes() int64 {
	if op.size != 0 {
		return op.size
	}
	for i := range op.events {
		n := &op.events[i]
		lanes := len(n.Wanted)
		for range op.store.index.problems.of(n.problem) {
			lanes++
		}
		op.size += int64(n.size()) * int64(max(lanes, 1))
	}
	return op.size
}

// check finds the duplicates, routes the other events, and refuses all if they would exceed a
// bound of the store.
func (op *appendOp) check(c *commit) error {
	x := c.store.index
	entries, bytes := 0, int64(0)
	several := len(op.events) > 1
	var earlier map[event]bool // events of this call
	if several {
		earlier = make(map[event]bool, len(op.events))
	}
	for i := range op.events {
		n := &op.events[i]
		ev := event{n.Source, n.id}
		n.places = nil
		if n.duplicate = n.ID != "" && (x.remembers(ev) || earlier[ev]); n.duplicate {
			continue
		}
		n.places = x.route(n, op.served)
		for _, p := range n.places {
			if p.outcome == 0 {
				entries++
				bytes += int64(n.size())
			}
		}
		if several {
			x.expect(n, 1)
			earlier[ev] = n.ID != "" && len(n.places) > 0
		}
	}
	if several {
		for i := range op.events {
			x.expect(&op.events[i], -1)
		}
	}
	if entries == 0 {
		return nil
	}
	return c.store.full(entries, bytes)
}

func (op *appendOp) write(c *commit) error {
	for i := range op.events {
		n := &op.events[i]
		if len(n.places) > 0 && n.ID != "" {
			c.remember(event{n.Source, n.id})
		}
		for i := range n.places {
			p := &n.places[i]
			l, err := c.laneTx(p.lane)
			if err != nil {
				return err
			}
			if err := l.append(n, p); err != nil {
				return err
			}
		}
	}
	return nil
}

// durable tells the caller what became of each event.
func (op *appendOp) durable() {
	for i := range op.events {
		n := &op.events[i]
		n.Duplicate, n.Placed = n.duplicate, nil
		if len(n.places) > 0 {
			n.Placed = make([]store.Placement, len(n.places))
		}
		for i, p := range n.places {
			n.Placed[i] = store.Placement{
				Lane: p.name, Seq: p.seq, Sticky: p.sticky, Outcome: p.outcome,
			}
		}
	}
}

// usualEvent is the space that Check needs: few events have more bytes.
const usualEvent = 64 << 10

// Check implements [store.Store].
func (s *Store) Check(ctx context.Context) error { return s.submit(ctx, checkOp{}) }

// A checkOp finds out whether an append would succeed.
type checkOp struct{ noOperation }

func (checkOp) check(c *commit) error {
	if err := c.store.inPlace(); err != nil {
		return err
	}
	if err := c.store.full(1, 0); err != nil {
		return err
	}
	return c.store.reserve(usualEvent)
}

// full returns [store.ErrFull] if so many more pending entries and bytes would exceed a bound. The
// committer calls it.
func (s *Store) full(entries int, bytes int64) error {
	if n := s.index.pending; n+entries > s.opts.MaxEntries {
		return fmt.Errorf("boltstore: %d entries are pending; at most %d are allowed: %w",
			n, s.opts.MaxEntries, store.ErrFull)
	}
	if n := s.index.bytes; n+bytes > s.opts.MaxBytes {
		return fmt.Errorf("boltstore: %d bytes are pending; at most %d are allowed: %w",
			n, s.opts.MaxBytes, store.ErrFull)
	}
	return nil
}

// append adds an event to the lane, and sets its sequence number in p.
func (l *laneTx) append(n *newEvent, p *place) error {
	l.seq++
	p.seq = l.seq
	l.commit.changed = true
	now := l.commit.now
	ended := settlement{
		l.seq, p.outcome, n.Accepted, now, now, n.header, p.reason, p.sticky,
	}
	switch p.outcome {
	case store.Ignored:
		return l.addSettlement(ended)
	case store.Dead:
		m := store.Mark{
			Seq: l.seq, Problem: n.Problem, State: n.State, Level: n.Level,
			Outcome: p.outcome, Reason: p.reason, At: n.Accepted,
		}
		if err := l.updateRecord(&m); err != nil {
			return err
		}
		l.written++
		if err := l.addSettlement(ended); err != nil {
			return err
		}
		return l.addDeadLetter(ended, n.Body)
	}
	e := progress{seq: l.seq, problem: n.problem, size: n.size(), kind: kindOf(n.State, p.sticky)}
	l.appended = append(l.appended, segmentEntry{e, now, n.header, n.Body})
	l.countPending(&e, 1)
	l.arrived = true
	return nil
}
