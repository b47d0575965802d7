package relay

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"time"

	"github.com/guance-relay/guance-relay/guance"
)

// logDelivered writes the one line of a delivered event, with what the sink has to say of it.
func (l *lane) logDelivered(ctx context.Context, r report, age time.Duration) {
	l.log.LogAttrs(ctx, slog.LevelInfo, "relay: event delivered", append([]slog.Attr{
		slog.Uint64("seq", r.entry.Seq), slog.String("event", short(r.entry.ID)), slog.String("problem", r.entry.Problem),
		slog.String("state", r.entry.State.String()), slog.String("event_level", r.entry.Level.String()),
		slog.Int("attempt", int(r.ticket.item.failed)+1), slog.Duration("age", age),
	}, r.said...)...)
}

// logIgnored warns once of a sink that ignores an event and did not say so when it was asked. A lane that keeps every event loses a
// request by that and nothing else.
func (l *lane) logIgnored(r report) {
	if l.unasked || l.opts.Every {
		return
	}
	l.unasked = true
	l.log.Warn("relay: the sink ignored an event only when it was to be sent; such an event may already have superseded one that would have "+
		"been sent, and it took a request of the budget. Give the sink a method Ignores (relay.Chooser); if it decorates a sink that has one, "+
		"give it a method Unwrap() relay.Sink or use SinkOptions.Middleware. This is logged once",
		"seq", r.entry.Seq, "event", short(r.entry.ID), "problem", r.entry.Problem, "reason", r.mark.Reason)
}

// short bounds what a sender can make a line of the log hold: an event's id may be as long as its body.
func short(id string) string {
	if len(id) <= maxKey {
		return id
	}
	return strings.ToValidUTF8(id[:maxKey], "") + "…"
}

var errNoLanes = errors.New("relay: no lane: what is accepted goes nowhere; add one with Handle")

// logUnrouted counts the events that no lane takes, those at the given places, and logs one of them, at most once a minute.
func (r *Relay) logUnrouted(events []*guance.Event, places []int) {
	for _, i := range places {
		e := events[i]
		r.telemetry.unrouted.Add(context.Background(), 1)
		r.unrouted.do(func(n uint64) {
			r.log.Warn("relay: no lane takes the event; it was not kept. Add a lane whose Match takes it, or one without Match",
				"event", short(EventID(e)), "problem", problemKey(e), "state", e.State().String(), "event_level", e.Level().String(), "kind", string(e.Kind()),
				"lanes", len(r.lanes), "unrouted", n)
		})
	}
}
