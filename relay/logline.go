package relay

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"time"

	"github.com/guance-relay/guance-relay/guance"
	"github.com/guance-relay/guance-relay/relay/store"
)

// logDelivered writes the line of a delivered event, with the attributes from the sink.
func (l *lane) logDelivered(ctx context.Context, a *attempt, age time.Duration) {
	e := a.entry
	l.log.LogAttrs(ctx, slog.LevelInfo, "relay: event delivered", append([]slog.Attr{
		slog.Uint64("seq", e.Seq), slog.String("event", short(e.ID)), slog.String("problem", e.Problem),
		slog.String("state", e.State.String()), slog.String("event_level", e.Level.String()),
		slog.Int("attempt", a.ticket.Attempt()), slog.Duration("age", age),
	}, a.attrs...)...)
}

// logIgnored warns once of a sink that ignores an event in Deliver and not in Ignores. Where every
// event is sent, that costs only a request.
func (l *lane) logIgnored(e *store.Entry, reason string) {
	if l.ignoredLogged || l.opts.EveryEvent {
		return
	}
	l.ignoredLogged = true
	l.log.Warn("relay: the sink ignored an event in Deliver; it may have superseded one that "+
		"would have been sent, and it took a request of the budget. Give the sink a method Ignores "+
		"(relay.Ignorer); if it decorates a sink that has one, give it a method Unwrap() relay.Sink or "+
		"use SinkOptions.Middleware. This is logged once",
		"seq", e.Seq, "event", short(e.ID), "problem", e.Problem, "reason", reason)
}

// short cuts an event ID for the log: a sender may send one as long as a body.
func short(id string) string {
	if len(id) <= maxKey {
		return id
	}
	return strings.ToValidUTF8(id[:maxKey], "") + "…"
}

var errNoLanes = errors.New("relay: no lane: accepted events are not kept; add a lane with Handle")

// logArrived counts the events of a source. At most once a minute it logs one that no lane takes,
// and one that its source may not send.
func (r *Relay) logArrived(source string, events []*guance.Event, receipts []Receipt) {
	for i, e := range events {
		r.telemetry.arrived(source, e.Kind(), receipts[i].Fate, 1)
		switch receipts[i].Fate {
		case fateUnrouted:
			r.unrouted.do(func(n uint64) {
				r.log.Warn("relay: no lane takes the event; it was not kept. Add a lane whose Match takes "+
					"it, or one with Fallback", "source", source, "event", short(EventID(source, e)),
					"problem", receipts[i].Problem, "state", e.State().String(),
					"event_level", e.Level().String(), "kind", string(e.Kind()),
					"lanes", len(r.lanes.Load().served), "unrouted", n)
			})
		case fateRefused:
			r.refused.do(func(n uint64) {
				workspace, _ := e.Workspace()
				r.log.Warn("relay: the source may not send events of the workspace; the event was not "+
					"kept. Add the workspace to Workspaces of the source if it may", "source", source,
					"workspace", short(workspace), "event", short(EventID(source, e)),
					"problem", receipts[i].Problem, "refused", n)
			})
		}
	}
}
