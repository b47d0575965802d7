package relay

import (
	"context"
	"fmt"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/guance-relay/guance-relay/guance"
	"github.com/guance-relay/guance-relay/relay/internal/schedule"
	"github.com/guance-relay/guance-relay/relay/store"
)

// An attempt is one delivery of one entry, and how it ended.
type attempt struct {
	ticket schedule.Ticket
	entry  *store.Entry // without its body
	began  time.Time
	result sinkResult
	attrs  []slog.Attr // from the sink, for the log
}

// try delivers one entry, whose first request was taken from the budget at paid. It makes durable
// that the attempt begins, and then calls the sink: after a crash, only entries that were never
// sent may be superseded.
func (l *lane) try(ctx context.Context, t schedule.Ticket, paid time.Time) message {
	a := &attempt{ticket: t, began: l.clock.now()}
	keep := context.WithoutCancel(ctx) // a cut ends the call of the sink, never that of the store
	e, err := l.owned.Load(keep, t.Seq())
	if err == nil {
		begins := t.Mark(e.Problem, 0, "")
		begins.At = l.clock.wall()
		err = l.owned.Mark(keep, []store.Mark{begins})
	}
	if err != nil {
		return attemptNotBegun{t, err}
	}
	body := e.Body
	e.Body = nil
	a.entry = e
	events, err := guance.Decode(body, "application/json")
	if err != nil || len(events) != 1 {
		a.result.Outcome = store.Dead
		a.result.Reason = fmt.Sprintf(
			"the stored event does not decode to one event: %d, %v", len(events), err)
		return attemptDone{a}
	}
	ctx, cancel := context.WithTimeoutCause(ctx, l.opts.AttemptTimeout,
		fmt.Errorf("relay: no answer within the attempt timeout of %v", l.opts.AttemptTimeout))
	defer cancel()
	ctx, end := l.telemetry.deliver(ctx, e)
	var lost atomic.Bool
	requests := &requests{lane: l, paid: paid}
	if !l.leaseLasts() {
		end(errLeaseEnds)
		a.result.HandedBack = true
		return attemptDone{a}
	}
	err = deliver(ctx, l.decorated, &Delivery{
		Event: events[0], Lane: l.name, Source: sourceOf(e.Problem), Problem: e.Problem,
		Seq: e.Seq, Attempt: t.Attempt(), Accepted: e.Accepted,
		wait: requests.wait, lost: func() { lost.Store(true) },
		log: func(attrs ...slog.Attr) { a.attrs = append(a.attrs, attrs...) },
	})
	end(err)
	a.result = resultOf(err)
	a.result.AnswerLost = lost.Load() || answerLost(err, ctx.Err() != nil)
	// An empty budget is no failure of the target.
	a.result.HandedBack = a.result.Failed() && requests.refused.Load()
	return attemptDone{a}
}

// attemptNotBegun: the store could not load the entry, or not record that the attempt begins.
type attemptNotBegun struct {
	ticket schedule.Ticket
	err    error
}

func (m attemptNotBegun) apply(_ context.Context, l *lane, now time.Time) error {
	l.inFlight--
	if ofOneEntry(m.err) {
		l.quarantine(m.ticket, m.err, now)
		return nil
	}
	return m.err
}

// attemptDone: the sink has returned.
type attemptDone struct{ *attempt }

func (m attemptDone) apply(ctx context.Context, l *lane, now time.Time) error {
	a := m.attempt
	if a.result.Failed() && ctx.Err() != nil {
		a.result.HandedBack = true // cut at the end of the drain time
	}
	repeat := l.schedule.IsRepeat(a.ticket)
	l.observe(ctx, a, repeat, now)
	mark := l.schedule.Answered(a.ticket, a.result.Result, now)
	delivered := a.result.Outcome == store.Delivered
	if delivered && !repeat {
		age := now.Sub(a.ticket.Kept())
		l.telemetry.recordDelivery(ctx, l.name, a.entry.Level, age)
		l.logDelivered(ctx, a, age)
	}
	if mark.Outcome != 0 {
		mark.Problem = a.entry.Problem
		l.end(ctx, a, mark)
		return nil
	}
	l.inFlight--
	if a.result.Failed() && l.schedule.IsStuck(a.ticket) {
		l.failures.stuck = a.result.failure(a.entry.Seq)
	}
	if delivered {
		l.log.Info("relay: a recovery is sent a second time, as an earlier answer was lost",
			"seq", a.entry.Seq, "event", short(a.entry.ID), "in", schedule.RepeatAfter.String())
	}
	return nil
}

// observe updates counters, budget and log from a result. A failed repeat keeps no event from the
// target, so it is not logged as a failure.
func (l *lane) observe(ctx context.Context, a *attempt, repeat bool, now time.Time) {
	r := &a.result
	l.telemetry.recordAttempt(ctx, l.name, r, now.Sub(a.began))
	if r.HandedBack {
		if ctx.Err() == nil { // the budget was empty: no failure of the target, but no delivery either
			l.failures.add(l.log, a, now)
		}
		return
	}
	switch {
	case r.Throttled:
		l.counts.throttled++
		l.account.budget.throttled(a.began, now, r.delay)
	case r.Outcome == store.Delivered, r.Outcome == store.Dead:
		l.account.budget.succeeded(a.began)
	case r.Outcome == 0:
		l.counts.failed++
	}
	switch {
	case r.Outcome == 0 && repeat:
		l.log.Debug("relay: the target did not take a recovery a second time",
			"seq", a.entry.Seq, "reason", r.Reason)
	case r.Outcome == 0:
		l.failures.add(l.log, a, now)
	case r.Outcome == store.Delivered:
		l.counts.delivered = now
		l.failures.over(l.log, l.clock.shown)
	}
}

// end makes the outcome of an entry durable in a goroutine of its own. The next entry of the
// problem is not sent before the loop has the message.
func (l *lane) end(ctx context.Context, a *attempt, m store.Mark) {
	l.wg.Go(func() {
		made, err := l.writeMarks(context.WithoutCancel(ctx), []store.Mark{m})
		if len(made) > 0 {
			m = made[0]
		}
		l.post(entryEnded{a, m, err})
	})
}

// entryEnded: the outcome of the entry is durable, unless there is an error.
type entryEnded struct {
	*attempt
	mark store.Mark
	err  error
}

func (m entryEnded) apply(_ context.Context, l *lane, now time.Time) error {
	l.inFlight--
	l.took += (now.Sub(m.began) - l.took) / 8
	if m.err != nil {
		return m.err
	}
	l.schedule.Settle(m.ticket, m.mark)
	l.count(m.mark.Outcome, 1)
	l.recent.end(m.entry, &m.mark)
	l.performAgain()
	switch m.mark.Outcome {
	case store.Ignored:
		l.logIgnored(m.entry, m.mark.Reason)
	case store.Dead:
		l.log.Error("relay: event given up; it is kept as a dead letter", "seq", m.entry.Seq,
			"event", short(m.entry.ID), "event_level", m.entry.Level.String(), "reason", m.mark.Reason)
	}
	return nil
}
