package relay

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/guance-relay/guance-relay/relay/internal/schedule"
	"github.com/guance-relay/guance-relay/relay/store"
)

// readFirst is how long sending waits at most until the whole backlog is read after a start.
const readFirst = 10 * time.Second

// A lane delivers events to one sink, from when it is owned until it is stopped: once. It has its
// own order, retries and backlog. One goroutine, the loop, owns the schedule. Each attempt and each
// write runs in its own goroutine and sends the loop a [message].
type lane struct {
	*laneConfig
	account *account
	ended   chan struct{} // closed when the loop has ended

	// Owned by the loop in run.
	store         store.Store
	lease         store.Lease
	owned         store.Lane
	schedule      *schedule.Schedule
	hold          hold
	messages      chan message
	wg            sync.WaitGroup
	inFlight      int
	stopping      bool
	unread        int       // entries from before the start that the schedule does not have yet
	damaged       bool      // some entries cannot be read, so unread may stay above zero
	ready         time.Time // nothing is sent before it while there are unread entries
	failures      failureLog
	retried       []call // calls that are made again after the next outcome
	ignoredLogged bool   // see logIgnored
	superseded    supersededMarks
	revived       map[uint64]bool // dead letters that were replayed: Read may return them, too
}

// A message is what a goroutine of a lane sends to its loop. The loop calls apply. An error of
// apply stops the lane. ctx ends when the attempts in flight are cut.
type message interface {
	apply(ctx context.Context, l *lane, now time.Time) error
}

func newLane(c *laneConfig, a *account) *lane {
	return &lane{laneConfig: c, account: a, ended: make(chan struct{})}
}

// run delivers until ctx ends or the store fails. When it returns, its goroutines have ended,
// except for a sink that does not return.
func (l *lane) run(ctx context.Context, db store.Store, lease store.Lease) error {
	defer close(l.ended)
	if err := l.start(ctx, db, lease); err != nil {
		if ctx.Err() != nil { // stopped before it began
			return nil
		}
		return fmt.Errorf("relay: lane %q: reading its backlog: %w", l.name, err)
	}
	defer func() {
		cause := context.Cause(ctx)
		l.stopping = !errors.Is(cause, errLanesChange) && !errors.Is(cause, errHandOver)
		l.publish(l.clock.now())
	}()
	// Attempts outlive ctx by the drain time, so that fewer events are sent twice.
	attempts, cut := context.WithCancel(context.WithoutCancel(ctx))
	defer cut()
	reading, stopReading := context.WithCancel(ctx)
	arrivals := make(chan arrival)
	l.wg.Go(func() { l.read(reading, arrivals) })

	err := l.loop(ctx, attempts, arrivals)
	stopReading()
	return errors.Join(err, l.finish(attempts, cut))
}

func (l *lane) start(ctx context.Context, db store.Store, lease store.Lease) error {
	held, err := db.Holdings(ctx)
	if err != nil {
		return err
	}
	now := l.clock.now()
	l.store, l.lease, l.owned = db, lease, lease.Lane(l.name)
	if err := l.readHold(ctx); err != nil {
		return err
	}
	l.budget.Store(l.account.budget)
	l.unread, l.ready = held[l.name].Pending, now.Add(readFirst)
	policy := schedule.Policy{
		EveryEvent: l.opts.EveryEvent, MaxAttempts: l.opts.MaxAttempts, MaxAge: l.opts.MaxAge,
	}
	l.schedule = schedule.New(policy, rand.Int64N)
	l.messages = make(chan message)
	l.revived = make(map[uint64]bool)
	return nil
}

// loop expires and starts what is due, then waits for a message, an arrival, a call or a time.
func (l *lane) loop(ctx, attempts context.Context, arrivals <-chan arrival) (err error) {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		now := l.clock.now()
		if err = l.expire(ctx, now); err == nil {
			wait := l.startAttempts(attempts, now)
			if at := l.logFailures(now); !at.IsZero() {
				wait = min(wait, at.Sub(now))
			}
			timer.Reset(wait)
			l.publish(now)
			open := arrivals
			if l.superseded.full() {
				open = nil // until the store has written more
			}
			select {
			case <-ctx.Done():
				return nil
			case a := <-open:
				err = l.arrived(ctx, a)
			case m := <-l.messages:
				err = m.apply(attempts, l, l.clock.now())
			case c := <-l.calls:
				l.perform(c)
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

// finish waits for the attempts in flight, and cuts them at the end of the drain time or of the
// lease. It leaves a sink behind that does not return within another second: the other lanes must
// not wait for it.
func (l *lane) finish(attempts context.Context, cut func()) (err error) {
	deadline, abandon := time.NewTimer(l.drain), time.NewTimer(l.drain+time.Second)
	defer deadline.Stop()
	defer abandon.Stop()
	lost := l.lease.Lost()
	for l.inFlight > 0 || l.superseded.writing() {
		select {
		case m := <-l.messages:
			err = errors.Join(err, m.apply(attempts, l, l.clock.now()))
		case <-lost:
			cut() // the next owner may send already
			lost = nil
		case <-deadline.C:
			cut()
		case <-abandon.C:
			return errors.Join(err, fmt.Errorf("relay: lane %q: %d attempts did not return after "+
				"their context ended; their entries are kept and sent again later", l.name, l.inFlight))
		}
	}
	cut()
	l.wg.Wait()
	return err
}

// startAttempts starts all attempts that may start now. It returns how long to wait for the next
// one if nothing else happens.
func (l *lane) startAttempts(ctx context.Context, now time.Time) time.Duration {
	wake := now.Add(time.Hour)
	if at := l.schedule.Expiry(); !at.IsZero() && at.Before(wake) {
		wake = at.Add(1)
	}
	if l.sink == nil {
		return wake.Sub(now)
	}
	if l.hold.holds(now) {
		return min(wake.Sub(now), l.hold.until().Sub(now))
	}
	if !l.leaseLasts() {
		return min(wake.Sub(now), leaseAgain)
	}
	// If there is more to expire than expire takes at once, nothing is sent before that.
	for wake.After(now) && l.inFlight < l.limit() {
		if l.unread > 0 && now.Before(l.ready) { // the most urgent entry may be unread
			return l.ready.Sub(now)
		}
		ok, at := l.schedule.Ready(now)
		if ok { // the budget first: the later the choice, the better
			ok, at = l.account.budget.take(now)
		}
		if !ok {
			if !at.IsZero() && at.Before(wake) {
				wake = at
			}
			break
		}
		t, _ := l.schedule.Next(now)
		l.counts.attempts++
		l.recent.attempt(now)
		l.inFlight++
		l.wg.Go(func() { l.post(l.try(ctx, t, now)) })
	}
	return wake.Sub(now)
}

// limit returns how many attempts may be in flight.
func (l *lane) limit() int { return l.account.budget.limit(l.schedule.Limit(l.opts.Concurrency)) }

// post sends a message to the loop, unless the loop has ended.
func (l *lane) post(m message) {
	select {
	case l.messages <- m:
	case <-l.ended:
	}
}

// count counts entries that ended.
func (l *lane) count(o store.Outcome, n int) {
	l.counts.outcomes[o] += uint64(n)
	l.telemetry.count(l.name, o, n)
}
