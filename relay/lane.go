package relay

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"github.com/guance-relay/guance-relay/relay/store"
)

// catchUp is the longest that a start waits for the whole backlog to be read.
const catchUp = 10 * time.Second

// A lane brings events to one sink: its own order, budget, retries and backlog. One goroutine owns the schedule; attempts run
// in goroutines of their own and report back to it.
type lane struct {
	name      string
	sink      Sink // as it was given to Handle: its optional behaviour counts
	delivers  Sink // the same, or what SinkOptions.Middleware made of it
	opts      SinkOptions
	log       *slog.Logger
	drain     time.Duration
	clock     *clock
	telemetry *telemetry
	account   *account

	questions chan question // for the loop
	ended     chan struct{} // closed when the loop does not run any more
	stats     atomic.Pointer[LaneStats]
	ignored   atomic.Uint64 // when accepted
	hooks     struct{ match, ignores sampledLog }

	// Owned by the loop in run.
	store    store.Store
	owned    store.Lane
	schedule *schedule
	reports  chan report
	wg       sync.WaitGroup
	inFlight int
	stopping bool
	unread   int       // entries of before the start that the schedule does not have yet
	ready    time.Time // nothing is sent before, while there are any
	trouble  trouble
	counts   counts
	asked    []question // whose answer depends on an outcome that the loop is about to hear of
	unasked  bool       // the log has said that the sink ignores what it was not asked about

	recording  []store.Mark // of superseded entries, on their way to the disk
	superseded []store.Mark // those after them
}

// counts are the figures of a lane since it started.
type counts struct {
	outcomes                    [store.Dead + 1]uint64
	attempts, failed, throttled uint64
}

// A report is what a goroutine of the lane tells the loop.
type report struct {
	ticket  ticket
	entry   *store.Entry // without its body
	began   time.Time    // of the attempt; zero: what ended is not an attempt
	verdict verdict
	mark    *store.Mark  // the outcome that is durable now
	said    []slog.Attr  // by the sink, for the log
	marks   []store.Mark // of entries that were superseded, durable now; nil: the report is of something else
	err     error        // of the store: the lane cannot go on
}

func newLane(name string, s Sink, opts *SinkOptions, r *Relay) *lane {
	l := &lane{
		name: name, sink: s, opts: opts.withDefaults(), log: r.log.With("lane", name), drain: r.drain,
		clock: r.clock, telemetry: r.telemetry,
		questions: make(chan question), ended: make(chan struct{}),
	}
	l.decorate()
	l.hooks.match, l.hooks.ignores = newSampledLog(), newSampledLog()
	l.account = r.account(l)
	if c, ok := SinkAs[Chronicler](s); ok {
		l.opts.Every = l.opts.Every || c.Every()
	}
	l.stats.Store(&LaneStats{Name: name, State: Stopped})
	return l
}

// run delivers until ctx ends or the store fails. When it returns, its goroutines have ended, but
// for a sink that does not return.
func (l *lane) run(ctx context.Context, db store.Store, owned store.Lane) error {
	defer close(l.ended)
	if err := l.start(ctx, db, owned); err != nil {
		if ctx.Err() != nil { // stopped before it began
			return nil
		}
		return fmt.Errorf("relay: lane %q: reading what it holds: %w", l.name, err)
	}
	defer func() {
		l.stopping = true
		l.publish(l.clock.now())
	}()
	// Attempts outlive ctx by the drain time: what is nearly delivered need not be sent again after the restart.
	attempts, cut := context.WithCancel(context.WithoutCancel(ctx))
	defer cut()
	reading, stopReading := context.WithCancel(ctx)
	arrivals := make(chan []*store.Entry)
	l.wg.Go(func() { l.read(reading, arrivals) })

	err := l.loop(ctx, attempts, arrivals)
	stopReading()
	return errors.Join(err, l.finish(attempts, cut))
}

func (l *lane) start(ctx context.Context, db store.Store, owned store.Lane) error {
	held, err := db.Holdings(ctx)
	if err != nil {
		return err
	}
	now := l.clock.now()
	l.store, l.owned, l.unread, l.ready = db, owned, held[l.name].Pending, now.Add(catchUp)
	l.schedule = newSchedule(policy{l.opts.Every, l.opts.MaxAttempts, l.opts.MaxAge}, rand.Int64N)
	l.account.open(now)
	l.reports = make(chan report)
	return nil
}

// loop is the lane at work.
func (l *lane) loop(ctx, attempts context.Context, arrivals <-chan []*store.Entry) (err error) {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		now := l.clock.now()
		if err = l.expire(ctx, now); err == nil {
			wait := l.send(attempts, now)
			if at := l.complain(now); !at.IsZero() {
				wait = min(wait, at.Sub(now))
			}
			timer.Reset(wait)
			l.publish(now)
			select {
			case <-ctx.Done():
				return nil
			case entries := <-l.inbox(arrivals):
				err = l.arrived(ctx, entries)
			case r := <-l.reports:
				err = l.took(attempts, r)
			case q := <-l.questions:
				l.answer(q)
			case <-timer.C:
			}
		}
		if err != nil {
			if ctx.Err() != nil {
				return nil
			}
			return fmt.Errorf("relay: lane %q stopped, its entries are kept: %w", l.name, err)
		}
	}
}

// finish lets what is in flight end within the drain time and cuts the rest short, which is handed back. A sink that does not return even
// then is left behind: there is no way to end it, and the others must not wait.
func (l *lane) finish(attempts context.Context, cut func()) (err error) {
	deadline, abandon := time.NewTimer(l.drain), time.NewTimer(l.drain+time.Second)
	defer deadline.Stop()
	defer abandon.Stop()
	for l.inFlight > 0 || len(l.recording) > 0 {
		select {
		case r := <-l.reports:
			err = errors.Join(err, l.took(attempts, r))
		case <-deadline.C:
			cut()
		case <-abandon.C:
			return errors.Join(err, fmt.Errorf("relay: lane %q: %d attempts did not return although their context has ended; they are kept and sent again later", l.name, l.inFlight))
		}
	}
	cut()
	l.wg.Wait()
	return err
}

// send starts all attempts that may start now, and returns how long to wait for another, if nothing else happens.
func (l *lane) send(ctx context.Context, now time.Time) time.Duration {
	wake := now.Add(time.Hour)
	if at := l.schedule.expiry(); !at.IsZero() && at.Before(wake) {
		wake = at.Add(1)
	}
	// If more is too old than expire takes at once, that goes first, so that none of it is sent.
	for wake.After(now) && l.inFlight < l.limit() {
		if l.unread > 0 && now.Before(l.ready) { // the worst news may not have been read yet
			return l.ready.Sub(now)
		}
		ok, at := l.schedule.ready(now)
		if ok {
			// The token is taken before the choice is made, so that the choice is the latest possible.
			ok, at = l.account.take(now)
		}
		if !ok {
			if !at.IsZero() && at.Before(wake) {
				wake = at
			}
			break
		}
		t, _ := l.schedule.next(now)
		l.counts.attempts++
		l.inFlight++
		l.wg.Go(func() { l.report(l.attempt(ctx, t)) })
	}
	return wake.Sub(now)
}

// limit returns how many attempts may be in flight.
func (l *lane) limit() int { return l.account.limit(l.schedule.limit(l.opts.Concurrency)) }

// took lets the loop learn what a goroutine has to report.
func (l *lane) took(ctx context.Context, r report) error {
	now := l.clock.now()
	if r.marks != nil {
		l.recording = nil
		l.counted(store.Superseded, len(r.marks))
		l.record(ctx)
		return r.err
	}
	if r.entry == nil {
		if r.ticket.problem != nil {
			l.inFlight--
		}
		if r.ticket.problem != nil && ofOneEntry(r.err) {
			l.setAside(r.ticket, r.err, now)
			return nil
		}
		return r.err
	}
	if r.mark != nil {
		l.inFlight--
		l.settled(ctx, r, now)
		return r.err
	}
	if r.verdict.outcome == 0 && !r.verdict.throttled && ctx.Err() != nil {
		r.verdict.handedBack = true // cut by the end of the drain time
	}
	again := l.schedule.said(r.ticket)
	l.learn(ctx, r, again, now)
	m := l.schedule.answered(r.ticket, r.verdict, now)
	if r.verdict.outcome == store.Delivered && !again {
		age := now.Sub(moment(r.ticket.item.kept))
		l.telemetry.delivered(ctx, l.name, r.entry.Level, age)
		l.logDelivered(ctx, r, age)
	}
	if m.Outcome == 0 {
		l.inFlight--
		if r.verdict.failed() && l.schedule.isStuck(r.ticket.problem) {
			l.trouble.stuck = words{r.verdict.reason, r.verdict.remedy}
		}
		if r.verdict.outcome == store.Delivered {
			l.log.Info("relay: the target took a recovery; it is sent once more, as the answer to an earlier request of the problem was lost",
				"seq", r.entry.Seq, "event", short(r.entry.ID), "in", sayAgainAfter.String())
		}
		return nil
	}
	m.Problem = r.entry.Problem
	l.end(ctx, r, m)
	return nil
}

// end makes the outcome of an entry durable beside the loop, and then tells the loop. The problem's next entry is not sent before.
func (l *lane) end(ctx context.Context, r report, m store.Mark) {
	l.wg.Go(func() {
		var made []store.Mark
		if made, r.err = l.mark(context.WithoutCancel(ctx), []store.Mark{m}); len(made) > 0 {
			m = made[0]
		}
		r.mark = &m
		l.report(r)
	})
}

// report tells the loop, if there still is one.
func (l *lane) report(r report) {
	select {
	case l.reports <- r:
	case <-l.ended:
	}
}

// learn takes from an answer what it says of the target. again says that the target had taken the entry before: then a failure keeps
// nothing from getting through.
func (l *lane) learn(ctx context.Context, r report, again bool, now time.Time) {
	l.telemetry.attempt(ctx, l.name, r.verdict, now.Sub(r.began))
	if r.verdict.handedBack {
		if ctx.Err() == nil { // the budget was empty: no failure of the target's, and yet the event does not get through
			l.trouble.seen(l.log, r, now)
		}
		return
	}
	switch {
	case r.verdict.throttled:
		l.counts.throttled++
		l.account.throttled(r.began, now, r.verdict.delay)
	case r.verdict.outcome == store.Delivered, r.verdict.outcome == store.Dead:
		l.account.succeeded(r.began)
	case r.verdict.outcome == 0:
		l.counts.failed++
	}
	switch {
	case r.verdict.outcome == 0 && again:
		l.log.Debug("relay: the target did not take a recovery a second time", "seq", r.entry.Seq, "reason", r.verdict.reason)
	case r.verdict.outcome == 0:
		l.trouble.seen(l.log, r, now)
	case r.verdict.outcome == store.Delivered:
		l.trouble.over(l.log, l.clock.shown)
	}
}

func (l *lane) settled(ctx context.Context, r report, now time.Time) {
	if r.err != nil {
		return // the lane stops, and what the store has of the entry is what counts
	}
	l.schedule.settle(r.ticket, *r.mark)
	l.counted(r.mark.Outcome, 1)
	l.answerAgain()
	switch r.mark.Outcome {
	case store.Ignored:
		l.logIgnored(r)
	case store.Dead:
		l.log.Error("relay: event given up; it is kept as a dead letter", "seq", r.entry.Seq, "event", short(r.entry.ID),
			"event_level", r.entry.Level.String(), "reason", r.mark.Reason)
	}
}

func (l *lane) counted(o store.Outcome, n int) {
	l.counts.outcomes[o] += uint64(n)
	l.telemetry.count(l.name, o, n)
}
