package relay

import (
	"context"
	"time"

	"github.com/guance-relay/guance-relay/guance"
)

// A Sink delivers events to one target.
//
// Deliver is called concurrently for different problems and never for two events of one problem at a time. It must return
// soon after ctx ends. The lane decides what follows from the error: nil records the event as delivered; [Permanent] makes a
// dead letter; [RetryAfter] pauses the lane; [Ignore] records that there was nothing to do; anything else is tried again
// with backoff. A panic is taken as an error. The Delivery must not be kept after Deliver returns.
type Sink interface {
	Deliver(ctx context.Context, d *Delivery) error
}

// SinkOptions say how a lane treats its target. A nil *SinkOptions and a zero field mean the defaults.
type SinkOptions struct {
	// Match chooses the events that the lane takes; nil takes all. Never match on the level: a problem's recovery would go
	// elsewhere.
	Match func(*guance.Event) bool
	// Every keeps each event instead of letting a newer state of a problem take the place of an unsent older one. For chat and
	// audit targets; false suits targets that carry state, such as PagerDuty, unless the sink is a [Chronicler].
	Every bool
	// PerMinute is the number of requests that the target allows in any 60 s; zero means 120, which is PagerDuty's limit for
	// one integration key. Of lanes that share an account the least counts, see [Metered].
	PerMinute int
	// Concurrency is the number of attempts in flight at once; zero means 32: an attempt holds its place while it waits for the
	// disk and the target, and a few that hang must not take all of them.
	Concurrency int
	// AttemptTimeout bounds one Deliver; zero means 30 s.
	AttemptTimeout time.Duration
	// MaxAttempts is how many attempts may fail before an entry is dead; zero means 60. A failure counts only if the target took
	// something else since the entry's last one: no outage kills an event, however long.
	MaxAttempts int
	// MaxAge is how long after it was accepted an entry is still tried, outage or not; then it is dead. Zero means 72 h.
	MaxAge time.Duration
}

func (o *SinkOptions) withDefaults() SinkOptions {
	var d SinkOptions
	if o != nil {
		d = *o
	}
	orDefault(&d.PerMinute, 120)
	orDefault(&d.Concurrency, 32)
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

// SinkFunc is a function that is a Sink.
type SinkFunc func(ctx context.Context, d *Delivery) error

// Deliver calls f.
func (f SinkFunc) Deliver(ctx context.Context, d *Delivery) error { return f(ctx, d) }

// A Chooser is a Sink that can tell without I/O that it asks nothing of an event. Such events are recorded as ignored when
// they are accepted: they never wait for the budget nor take from it.
type Chooser interface {
	Sink
	// Ignores returns why the event is ignored, or "" if it is to be delivered. It may be called concurrently.
	Ignores(e *guance.Event) string
}

// A Chronicler is a Sink that wants each event, and not the newest state of each problem alone: see SinkOptions.Every.
type Chronicler interface {
	Sink
	// Every reports whether the sink wants each event. It is called once, by Handle.
	Every() bool
}

// A Delivery is one attempt to bring one event to a target.
type Delivery struct {
	Event    *guance.Event
	Lane     string
	Problem  string    // the problem key
	Seq      uint64    // the entry's place in its lane
	Attempt  int       // 1, and one more for each failed attempt that counted
	Accepted time.Time // when the relay took the event

	wait func(ctx context.Context) error // nil: no budget
	lost func()                          // nil: nobody keeps it
}

// LostAnswer says that no answer came to a request of this delivery, although the target may have it and may handle it later. The lane
// then sends the problem's recovery twice, see [Relay]. A sink calls it whether or not the delivery succeeds in the end. An error of
// Deliver that is a timeout or the end of a context says the same, unless it has a method AnswerLost() bool that denies it.
func (d *Delivery) LostAnswer() {
	if d.lost != nil {
		d.lost()
	}
}

// Wait waits until the lane's budget has a request. A sink calls it before every request that it sends. The first call of a delivery
// returns at once, as the lane has paid for one request. Wait fails when the budget has no request before the deadline of ctx, or when
// ctx ends; the sink then returns, and the attempt costs the entry nothing. It may be called concurrently. With this method a Delivery is a
// Limiter of package pagerduty.
func (d *Delivery) Wait(ctx context.Context) error {
	if d.wait == nil {
		return nil
	}
	return d.wait(ctx)
}

type permanentError struct{ err error }

func (e *permanentError) Error() string   { return e.err.Error() }
func (e *permanentError) Unwrap() error   { return e.err }
func (e *permanentError) Permanent() bool { return true }

// Permanent marks an error that no retry can mend: the entry becomes a dead letter, kept with the reason.
func Permanent(err error) error {
	if err == nil {
		return nil
	}
	return &permanentError{err}
}

type retryAfterError struct {
	err   error
	delay time.Duration
}

func (e *retryAfterError) Error() string             { return e.err.Error() }
func (e *retryAfterError) Unwrap() error             { return e.err }
func (e *retryAfterError) Throttled() bool           { return true }
func (e *retryAfterError) RetryAfter() time.Duration { return e.delay }

// RetryAfter marks an error of a target that wants to be left alone: the whole lane pauses for d, or for a time the lane
// chooses if d is not positive. It costs the entry no attempt.
func RetryAfter(err error, d time.Duration) error {
	if err == nil {
		return nil
	}
	return &retryAfterError{err, d}
}

type ignoreError struct{ reason string }

func (e *ignoreError) Error() string { return e.reason }
func (e *ignoreError) Ignored() bool { return true }

// Ignore returns the error by which a sink says that the event asks for nothing. By then the event has waited for the budget, and may
// have taken the place of an older one that the sink would not have ignored: a sink that ignores some events should be a [Chooser].
func Ignore(reason string) error { return &ignoreError{reason} }
