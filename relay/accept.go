package relay

import (
	"context"
	"fmt"
	"time"

	"github.com/guance-relay/guance-relay/guance"
	"github.com/guance-relay/guance-relay/relay/store"
)

// A Receipt is what became of one event of [Relay.Accept].
type Receipt struct {
	EventID string `json:"event_id,omitempty"`
	Problem string `json:"problem"` // the problem key, see [ProblemKey]
	// Fate is "unrouted" if no lane took the event, and "refused" if its source may not speak for its
	// workspace, see [Source]. Such an event is not kept. Fate is empty if a lane took the event.
	Fate string `json:"fate,omitempty"`
	// Lanes maps each lane that takes the event to "accepted", "duplicate" or "ignored".
	Lanes map[string]string `json:"lanes"`
}

// Receipt.Fate of an event that was not kept.
const (
	fateUnrouted = "unrouted"
	fateRefused  = "refused"
)

// Accept keeps events for every lane that takes them, all or none. They are durable once it returns
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
	var entries []*store.Entry
	lanes := make([]*lane, 0, len(r.lanes))
	var receiptOf []int // the index of the receipt of each entry
	for i, ev := range events {
		if ev == nil {
			return nil, fmt.Errorf("relay: event %d of %d is nil; nothing was kept", i+1, len(events))
		}
		receipts[i] = Receipt{
			EventID: ev.EventID, Problem: ProblemKey(source.Name, ev.ProblemKey()),
			Lanes: make(map[string]string, len(r.lanes)),
		}
		if !source.speaksFor(ev) {
			receipts[i].Fate = fateRefused
			continue
		}
		body, err := ev.MarshalJSON()
		if err != nil {
			return nil, fmt.Errorf("relay: encoding event %d, nothing was kept: %w", i+1, err)
		}
		if lanes = r.takers(lanes[:0], ev); len(lanes) == 0 {
			receipts[i].Fate = fateUnrouted
			continue
		}
		entry := store.Entry{
			ID: EventID(source.Name, ev), Problem: receipts[i].Problem, State: ev.State(),
			Level: ev.Level(), Time: eventTime(ev), Accepted: now, Trace: parent, Body: body,
		}
		for _, l := range lanes {
			e := entry
			e.Lane, e.Ignored = l.name, l.ignores(ev)
			entries, receiptOf = append(entries, &e), append(receiptOf, i)
		}
	}
	if len(entries) > 0 {
		if err := r.store.Append(ctx, entries); err != nil {
			return nil, r.stopIfFailed(fmt.Errorf("relay: keeping %d events: %w", len(events), err))
		}
	}
	r.logNotKept(source.Name, events, receipts)
	for i, e := range entries {
		receipts[receiptOf[i]].Lanes[e.Lane] = r.received(e)
	}
	return receipts, nil
}

// takers returns the lanes that take an event, in the memory of lanes. The fallback takes what no
// other lane takes; a lane that has the event already, or whose sink ignores it, does take it.
func (r *Relay) takers(lanes []*lane, ev *guance.Event) []*lane {
	for _, l := range r.lanes {
		if l != r.fallback && l.matches(ev) {
			lanes = append(lanes, l)
		}
	}
	if len(lanes) == 0 && r.fallback != nil {
		lanes = append(lanes, r.fallback)
	}
	return lanes
}

// received returns the word in the receipt for an entry after Append, and counts one that is
// ignored.
func (r *Relay) received(e *store.Entry) string {
	switch {
	case e.Seq == 0:
		return "duplicate"
	case e.Ignored == "":
		return "accepted"
	}
	l := r.findLane(e.Lane)
	l.ignored.Add(1)
	l.log.Debug("relay: event ignored", "seq", e.Seq, "event", e.ID, "reason", e.Ignored)
	r.telemetry.count(e.Lane, store.Ignored, 1)
	return "ignored"
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
