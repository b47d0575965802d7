package relay

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"time"

	"github.com/guance-relay/guance-relay/guance"
	"github.com/guance-relay/guance-relay/relay/store"
)

// A Receipt is what became of one event of [Relay.Accept].
type Receipt struct {
	EventID string `json:"event_id,omitempty"`
	Problem string `json:"problem"` // the problem key, see [ProblemKey]
	// Fate is empty if a lane took the event. Otherwise it is "duplicate" if the event was kept
	// before, "unrouted" if no lane with a sink took it, and "refused" if its source may not speak for
	// its workspace, see [Source].
	Fate string `json:"fate,omitempty"`
	// Lanes maps each lane that has the event now to "accepted"; to "sticky" if the lane did not want
	// the event, and got it because it has the problem; to "ignored" if its sink does nothing with
	// the event; or to "dead" if the lane is full. A dead event can be replayed.
	Lanes map[string]string `json:"lanes"`
}

// Receipt.Fate of an event that was not kept.
const (
	fateDuplicate = "duplicate"
	fateUnrouted  = "unrouted"
	fateRefused   = "refused"
)

// Accept keeps events for every lane that gets them, all or none. They are durable once it returns
// nil. An error wraps one of package store or of the context. Nothing was kept then, unless the
// error is [store.ErrFailed] or [store.ErrUnavailable].
//
// The events are of the source without a name. [Relay.AcceptFrom] takes events of other sources.
func (r *Relay) Accept(ctx context.Context, events ...*guance.Event) ([]Receipt, error) {
	return r.accept(ctx, Source{}, events)
}

// AcceptFrom is [Relay.Accept] for events of a source. The name is that of a [Source] of a handler,
// or another one by the same rules. An empty name is an error.
func (r *Relay) AcceptFrom(
	ctx context.Context, source string, events ...*guance.Event,
) ([]Receipt, error) {
	if err := checkSourceName(source); err != nil {
		return nil, err
	}
	return r.accept(ctx, Source{Name: source}, events)
}

func (r *Relay) accept(
	ctx context.Context, source Source, events []*guance.Event,
) ([]Receipt, error) {
	if r.closing.Load() {
		return nil, fmt.Errorf("relay: accepting: %w", store.ErrClosed)
	}
	now, parent := r.clock.wall(), traceparent(ctx)
	receipts := make([]Receipt, len(events))
	start := time.Now()
	var lanes *laneSet
	err := persist(ctx, start, func() (err error) {
		lanes, err = r.namedLanes(ctx)
		return err
	})
	if err != nil {
		return nil, err
	}
	batch := &store.Batch{Served: lanes.served}
	var receiptOf []int // the index of the receipt of each event of the batch
	for i, ev := range events {
		if ev == nil {
			return nil, fmt.Errorf("relay: event %d of %d is nil; nothing was kept", i+1, len(events))
		}
		receipts[i] = Receipt{
			EventID: ev.EventID, Problem: ProblemKey(source.Name, ev.ProblemKey()),
			Lanes: make(map[string]string),
		}
		if !source.speaksFor(ev) {
			receipts[i].Fate = fateRefused
			continue
		}
		e, err := storedEvent(source.Name, receipts[i].Problem, ev, now)
		if err != nil {
			return nil, fmt.Errorf("relay: encoding event %d, nothing was kept: %w", i+1, err)
		}
		e.Trace = parent
		e.Wanted, e.Fallback = r.offers(lanes, source.Name, ev)
		batch.Events, receiptOf = append(batch.Events, e), append(receiptOf, i)
	}
	if len(batch.Events) > 0 {
		if err := r.keep(ctx, start, batch); err != nil {
			return nil, r.stopIfFailed(fmt.Errorf("relay: keeping %d events: %w", len(events), err))
		}
	}
	for i, e := range batch.Events {
		r.received(lanes, e, &receipts[receiptOf[i]])
	}
	r.logArrived(source.Name, events, receipts)
	if r.onReceipt != nil {
		for i, ev := range events {
			r.tell(source.Name, ev, receipts[i])
		}
	}
	return receipts, nil
}

// tell calls Options.Received.
func (r *Relay) tell(source string, ev *guance.Event, receipt Receipt) {
	defer r.receiptPanics.recovered(r.log, "relay: Received panicked", func() {})
	r.onReceipt(source, ev, receipt)
}

// storedEvent returns an event as a store takes it, for no lane yet.
func storedEvent(
	source, problem string, ev *guance.Event, accepted time.Time,
) (*store.Event, error) {
	body, err := ev.MarshalJSON()
	if err != nil {
		return nil, err
	}
	return &store.Event{
		Source: source, ID: EventID(source, ev), Problem: problem, State: ev.State(),
		Level: ev.Level(), Time: eventTime(ev), Accepted: accepted, Body: body, Follows: follows(ev),
	}, nil
}

// keepFor is how long Accept goes on if the store cannot be reached: Guance promises no second try.
const keepFor = 20 * time.Second

// keep appends a batch. It repeats that under a nonce, so that an Append whose answer was lost
// keeps nothing twice.
func (r *Relay) keep(ctx context.Context, start time.Time, batch *store.Batch) error {
	if r.cluster != nil {
		batch.Nonce = rand.Text()
	}
	return persist(ctx, start, func() error { return r.store.Append(ctx, batch) })
}

// persist repeats a call while the store cannot be reached, until keepFor has passed since start.
func persist(ctx context.Context, start time.Time, call func() error) error {
	for wait := 100 * time.Millisecond; ; wait = min(2*wait, time.Second) {
		err := call()
		if !errors.Is(err, store.ErrUnavailable) || time.Since(start)+wait > keepFor ||
			!sleep(ctx, wait) {
			return err
		}
	}
}

// received completes the receipt of an event after Append.
func (r *Relay) received(lanes *laneSet, e *store.Event, receipt *Receipt) {
	if e.Duplicate {
		receipt.Fate = fateDuplicate
		return
	}
	receipt.Fate = fateUnrouted
	for _, p := range e.Placed {
		word := "accepted"
		switch {
		case p.Outcome != 0:
			word = p.Outcome.String()
		case p.Sticky:
			word = "sticky"
		}
		receipt.Lanes[p.Lane] = word
		l := lanes.lane(p.Lane)
		if l == nil {
			r.strange(p.Lane)
			continue
		}
		if l.sink != nil {
			receipt.Fate = ""
		}
		l.received(e, p)
	}
}

// received counts an entry that ended when it was accepted.
func (l *laneConfig) received(e *store.Event, p store.Placement) {
	switch p.Outcome {
	case store.Ignored:
		l.log.Debug("relay: event ignored", "seq", p.Seq, "event", e.ID)
	case store.Dead:
		l.hooks.full.do(func(n uint64) {
			l.log.Error("relay: the lane has as many pending entries as one lane may; the event is kept as "+
				"a dead letter. See why the target does not take events, then replay it", "seq", p.Seq,
				"event", short(e.ID), "problem", e.Problem, "event_level", e.Level.String(), "events", n)
		})
	default:
		return
	}
	l.atOnce[p.Outcome].Add(1)
	l.telemetry.count(l.name, p.Outcome, 1)
}

// eventTime returns when the event happened. Zero: that says nothing about the order, or it is not
// a time that every store can write.
func eventTime(ev *guance.Event) time.Time {
	t := ev.OrderTime()
	if y := t.UTC().Year(); y < 1970 || y > 9998 {
		return time.Time{}
	}
	return t.UTC()
}
