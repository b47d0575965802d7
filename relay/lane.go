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

	"github.com/guance-relay/guance-relay/guance"
)

// SinkOptions say how a lane treats its target. A nil *SinkOptions and a zero field mean the defaults.
type SinkOptions struct {
	// Match chooses the events that the lane takes; nil takes all. Never match on the level: a problem's recovery would go
	// elsewhere.
	Match func(*guance.Event) bool
	// Every keeps each event instead of letting a newer state of a problem take the place of an unsent older one. For chat and
	// audit targets; false suits targets that carry state, such as PagerDuty.
	Every bool
	// PerMinute is the number of requests that the target allows in any 60 s; zero means 120, which is PagerDuty's limit for
	// one integration key.
	PerMinute int
	// Concurrency is the number of attempts in flight at once; zero means 8.
	Concurrency int
	// AttemptTimeout bounds one Deliver; zero means 30 s.
	AttemptTimeout time.Duration
	// MaxAttempts is how often an entry may fail, while others succeed, before it is dead; zero means 60.
	MaxAttempts int
	// MaxAge is how long after it was accepted an entry is still tried; zero means 72 h.
	MaxAge time.Duration
}

func (o *SinkOptions) withDefaults() SinkOptions {
	var d SinkOptions
	if o != nil {
		d = *o
	}
	orDefault(&d.PerMinute, 120)
	orDefault(&d.Concurrency, 8)
	orDefault(&d.AttemptTimeout, 30*time.Second)
	orDefault(&d.MaxAttempts, 60)
	orDefault(&d.MaxAge, 72*time.Hour)
	return d
}

func orDefault[T int | time.Duration](v *T, d T) {
	if *v <= 0 {
		*v = d
	}
}

const (
	minBackoff = 500 * time.Millisecond
	maxBackoff = time.Minute
	// deadTarget is how many attempts in a row must fail before the lane takes the target to be down. Then it sends one
	// probe at a time, each with another problem, and failures do not count against entries: it is not their fault.
	deadTarget = 5
	maxProbe   = 15 * time.Second
	readAhead  = 1000 // entries read from the store at once
)

// A lane brings events to one sink: its own order, budget, retries and backlog. One goroutine owns the schedule; attempts run
// in goroutines of their own and report back to it.
type lane struct {
	name  string
	sink  Sink
	opts  SinkOptions
	log   *slog.Logger
	drain time.Duration

	questions chan func()   // run by the loop
	ended     chan struct{} // closed when the loop does not run any more

	// Owned by the loop in run.
	store    Store
	lease    Lease
	schedule *schedule
	failures int // attempts in a row that failed
	probe    time.Time
	inFlight int
	lastErr  string

	mu     sync.Mutex
	budget *budget // guarded by mu: deliveries spend from it too

	counts  [Dead + 1]atomic.Uint64
	backlog atomic.Int64
	running atomic.Bool
}

// A report is what an attempt tells the loop.
type report struct {
	entry   *Entry
	verdict verdict
	err     error // of the store: the lane cannot go on
}

// run delivers until ctx ends or the store fails. It returns when nothing of it runs any more.
func (l *lane) run(ctx context.Context, store Store) (err error) {
	defer close(l.ended)
	lease, err := store.Acquire(ctx, l.name)
	if err != nil {
		return fmt.Errorf("relay: lane %q: acquiring its entries: %w", l.name, err)
	}
	l.store, l.lease, l.schedule = store, lease, newSchedule(l.opts.Every)
	l.budget = newBudget(l.opts.PerMinute, time.Now())
	l.running.Store(true)
	defer l.running.Store(false)

	var wg sync.WaitGroup
	readCtx, stopReading := context.WithCancel(ctx)
	// Attempts outlive ctx by the drain time: what is nearly delivered need not be sent again after the restart.
	attemptCtx, stopAttempts := context.WithCancel(context.WithoutCancel(ctx))
	arrivals, reports := make(chan []*Entry), make(chan report)
	wg.Go(func() { l.read(readCtx, arrivals, reports) })
	defer func() {
		stopReading()
		timer := time.AfterFunc(l.drain, stopAttempts)
		for l.inFlight > 0 {
			if r := <-reports; r.entry != nil {
				err = errors.Join(err, l.took(attemptCtx, r))
			}
		}
		timer.Stop()
		stopAttempts()
		wg.Wait()
		err = errors.Join(err, lease.Release())
	}()

	for {
		wait := l.send(attemptCtx, &wg, reports)
		l.backlog.Store(int64(l.schedule.pending))
		select {
		case <-ctx.Done():
			return nil
		case entries := <-arrivals:
			err = l.arrived(ctx, entries)
		case r := <-reports:
			err = l.took(attemptCtx, r)
		case fn := <-l.questions:
			fn()
		case <-wait:
		}
		if err != nil {
			if ctx.Err() != nil {
				return nil
			}
			return fmt.Errorf("relay: lane %q stopped, its entries are kept: %w", l.name, err)
		}
	}
}

// read hands what the store has to the loop.
func (l *lane) read(ctx context.Context, arrivals chan<- []*Entry, reports chan<- report) {
	var after uint64
	for {
		entries, err := l.lease.Read(ctx, after, readAhead)
		if ctx.Err() != nil {
			return
		}
		if err != nil {
			select {
			case reports <- report{err: fmt.Errorf("reading its entries: %w", err)}:
			case <-ctx.Done():
			}
			return
		}
		after = entries[len(entries)-1].Seq
		select {
		case arrivals <- entries:
		case <-ctx.Done():
			return
		}
	}
}

// arrived adds entries to the schedule and records what they supersede.
func (l *lane) arrived(ctx context.Context, entries []*Entry) error {
	var marks []Mark
	for _, e := range entries {
		var record Record
		if !l.schedule.known(e.Problem) {
			records, err := l.lease.Records(ctx, []string{e.Problem})
			if err != nil {
				return err
			}
			record = records[0]
		}
		marks = append(marks, l.schedule.add(e, record)...)
	}
	if len(marks) == 0 {
		return nil
	}
	// Not cut short by a shutdown: the schedule has already forgotten these entries, the store must follow.
	if err := l.lease.Mark(context.WithoutCancel(ctx), marks); err != nil {
		return err
	}
	l.counts[Superseded].Add(uint64(len(marks)))
	return nil
}

// send starts all attempts that may start now, and returns a channel that fires when another may.
func (l *lane) send(ctx context.Context, wg *sync.WaitGroup, reports chan<- report) <-chan time.Time {
	for {
		now := time.Now()
		limit := l.opts.Concurrency
		if l.failures >= deadTarget {
			limit = 1
		}
		if l.inFlight >= limit {
			return nil // a report will come
		}
		if !l.schedule.any(now) {
			at, ok := l.schedule.wake()
			if !ok {
				return nil
			}
			return time.After(at.Sub(now))
		}
		if now.Before(l.probe) {
			return time.After(l.probe.Sub(now))
		}
		// The token is taken before the choice is made, so that the choice is the latest possible.
		ok, again := l.take(now)
		if !ok {
			return time.After(again.Sub(now))
		}
		e := l.schedule.next(now)
		attempt := l.schedule.attempts(e) + 1
		l.inFlight++
		wg.Go(func() {
			v, err := l.attempt(ctx, e, attempt)
			reports <- report{e, v, err}
		})
	}
}

func (l *lane) take(now time.Time) (bool, time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.budget.take(now)
}

// spend waits for the budget on behalf of a sink that sends more than one request.
func (l *lane) spend(ctx context.Context) error {
	for {
		now := time.Now()
		ok, again := l.take(now)
		if ok {
			return nil
		}
		timer := time.NewTimer(again.Sub(now))
		select {
		case <-ctx.Done():
			timer.Stop()
			return ctx.Err()
		case <-timer.C:
		}
	}
}

// attempt brings one entry to the sink. That it begins is durable before anything is sent: after a crash only entries that
// were never on the wire may be superseded. How it ended is durable before the problem's next entry is sent.
func (l *lane) attempt(ctx context.Context, e *Entry, attempt int) (verdict, error) {
	if time.Since(e.Accepted) > l.opts.MaxAge {
		v := verdict{outcome: Dead, reason: "not delivered within " + l.opts.MaxAge.String()}
		return v, l.end(ctx, e, v)
	}
	keep := context.WithoutCancel(ctx) // the store is never left halfway; only the sink is cut short
	if err := l.lease.Mark(keep, []Mark{e.mark(0, "")}); err != nil {
		return verdict{}, err
	}
	loaded, err := l.lease.Load(keep, e.Seq)
	if err != nil {
		return verdict{}, err
	}
	events, err := guance.Decode(loaded.Body, "application/json")
	if err != nil || len(events) != 1 {
		v := verdict{outcome: Dead, reason: fmt.Sprintf("the stored event does not decode to one event: %v", err)}
		return v, l.end(ctx, e, v)
	}
	attemptCtx, cancel := context.WithTimeoutCause(ctx, l.opts.AttemptTimeout,
		fmt.Errorf("relay: no answer within the attempt timeout of %v", l.opts.AttemptTimeout))
	defer cancel()
	v := judge(deliver(attemptCtx, l.sink, &Delivery{
		Event: events[0], Lane: l.name, Problem: e.Problem, Seq: e.Seq, Attempt: attempt, Accepted: e.Accepted, spend: l.spend,
	}))
	if v.outcome == 0 && !v.throttled && attempt >= l.opts.MaxAttempts {
		v.outcome, v.reason = Dead, fmt.Sprintf("failed %d times, last: %s", attempt, v.reason)
	}
	if v.outcome != 0 {
		return v, l.end(ctx, e, v)
	}
	return v, nil
}

func (l *lane) end(ctx context.Context, e *Entry, v verdict) error {
	return l.lease.Mark(context.WithoutCancel(ctx), []Mark{e.mark(v.outcome, v.reason)})
}

// took lets the loop learn how an attempt ended.
func (l *lane) took(ctx context.Context, r report) error {
	if r.entry == nil {
		return r.err
	}
	l.inFlight--
	if r.err != nil {
		l.schedule.retry(r.entry, time.Now().Add(minBackoff), false)
		return r.err
	}
	now := time.Now()
	if r.verdict.outcome != 0 {
		l.settled(r)
		return nil
	}
	if ctx.Err() != nil { // cut by the end of the drain time: not the target's fault
		l.schedule.retry(r.entry, now, false)
		return nil
	}
	l.complain(r)
	if r.verdict.throttled {
		l.mu.Lock()
		l.budget.throttled(now, r.verdict.delay)
		l.mu.Unlock()
		l.schedule.retry(r.entry, now.Add(time.Nanosecond), false)
		return nil
	}
	l.failures++
	down := l.failures >= deadTarget
	l.schedule.retry(r.entry, now.Add(backoff(l.schedule.attempts(r.entry)+1)), !down)
	if down {
		l.probe = now.Add(min(backoff(l.failures-deadTarget+1), maxProbe))
	}
	return nil
}

func (l *lane) settled(r report) {
	l.schedule.settle(r.entry)
	l.counts[r.verdict.outcome].Add(1)
	switch r.verdict.outcome {
	case Delivered:
		if l.lastErr != "" {
			l.log.Info("relay: the target takes events again", "lane", l.name)
		}
		l.failures, l.lastErr, l.probe = 0, "", time.Time{}
		l.mu.Lock()
		l.budget.succeeded()
		l.mu.Unlock()
	case Dead:
		// A refusal is an answer: the target lives.
		l.failures = 0
		l.log.Error("relay: event given up; it is kept as a dead letter", "lane", l.name, "seq", r.entry.Seq, "event", r.entry.ID,
			"level", r.entry.Level.String(), "reason", r.verdict.reason)
	}
}

// complain logs an error when it differs from the last one: a target that is down for an hour is one piece of news.
func (l *lane) complain(r report) {
	if r.verdict.reason == l.lastErr {
		return
	}
	l.lastErr = r.verdict.reason
	l.log.Warn("relay: the target did not take an event; it is kept and tried again", "lane", l.name, "seq", r.entry.Seq,
		"throttled", r.verdict.throttled, "reason", r.verdict.reason)
}

// backoff is exponential with full jitter, so that problems which failed together do not return together.
func backoff(n int) time.Duration {
	d := maxBackoff
	if n < 8 {
		d = min(minBackoff<<n, maxBackoff)
	}
	return minBackoff/2 + rand.N(d)
}
