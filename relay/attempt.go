package relay

import (
	"context"
	"fmt"
	"log/slog"
	"sync/atomic"

	"github.com/guance-relay/guance-relay/guance"
	"github.com/guance-relay/guance-relay/relay/store"
)

// attempt brings one entry to the sink. That it begins is durable before anything is sent: after a crash only entries that
// were never on the wire may be superseded.
func (l *lane) attempt(ctx context.Context, t ticket) report {
	r := report{ticket: t, began: l.clock.now()}
	keep := context.WithoutCancel(ctx) // the store is never left halfway; only the sink is cut short
	e, err := l.owned.Load(keep, t.item.seq)
	if err == nil {
		begins := t.item.mark(e.Problem, 0, "")
		begins.At = l.clock.wall()
		err = l.owned.Mark(keep, []store.Mark{begins})
	}
	if err != nil {
		r.err = err
		return r
	}
	body := e.Body
	e.Body = nil
	r.entry = e
	events, err := guance.Decode(body, "application/json")
	if err != nil || len(events) != 1 {
		r.verdict = verdict{outcome: store.Dead, reason: fmt.Sprintf("the stored event does not decode to one event: %d, %v", len(events), err)}
		return r
	}
	ctx, cancel := context.WithTimeoutCause(ctx, l.opts.AttemptTimeout,
		fmt.Errorf("relay: no answer within the attempt timeout of %v", l.opts.AttemptTimeout))
	defer cancel()
	ctx, end := l.telemetry.deliver(ctx, e)
	var lost atomic.Bool
	paid := &requests{lane: l}
	err = deliver(ctx, l.delivers, &Delivery{
		Event: events[0], Lane: l.name, Problem: e.Problem, Seq: e.Seq, Attempt: int(t.item.failed) + 1, Accepted: e.Accepted,
		wait: paid.wait, lost: func() { lost.Store(true) }, log: func(attrs ...slog.Attr) { r.said = append(r.said, attrs...) },
	})
	end(err)
	r.verdict = judge(err)
	r.verdict.lost = lost.Load() || answerLost(err, ctx.Err() != nil)
	// That our own budget was empty is no failure of the target's.
	r.verdict.handedBack = r.verdict.outcome == 0 && !r.verdict.throttled && paid.refused.Load()
	return r
}
