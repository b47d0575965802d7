package relay

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"github.com/guance-relay/guance-relay/guance"
)

// A Sink delivers events to one target.
//
// Deliver is called concurrently for different problems, and never for two events of one problem at
// a time. It must return soon after ctx ends, and must not keep the Delivery. The error says what
// the lane does: nil means that the event is delivered, [Permanent] makes a dead letter,
// [RetryAfter] pauses the lane, [Ignore] records that there was nothing to do. After any other
// error, or a panic, the event is tried again with backoff.
//
// A sink may also be an [Ignorer], an [EveryEvent] or an [AccountNamer]. A decorator, which is a
// sink that passes deliveries on to another sink, must not hide that: it needs a method Unwrap()
// Sink that returns the other sink, see [SinkAs]. SinkOptions.Middleware decorates Deliver without
// a type.
type Sink interface {
	Deliver(ctx context.Context, d *Delivery) error
}

// SinkOptions are the settings of a lane. A nil *SinkOptions has all defaults, and so has a field
// that is nil or zero. With a negative value Handle panics.
type SinkOptions struct {
	// Match reports whether the lane wants an event. It may look at the level: an event that ends or
	// changes what the lane has goes to the lane whatever Match says, see the package comment. Match
	// may be called concurrently. If it panics, the lane wants the event, and the panic is logged at
	// most once a minute. Default: the lane wants all events, or those that Options.Route names.
	Match func(*guance.Event) bool
	// Fallback makes the lane get the events that no other lane wants or shows, and only these.
	// Another lane wants an event also if its sink ignores it. A relay has at most one fallback,
	// which has no Match. Default: what no lane takes is not kept, see Receipt.Fate.
	Fallback bool
	// Formerly is the name that the lane had before. The lane takes over all that the store has
	// under that name, in its order. From then on both names mean this lane, so a process that still
	// uses the old one loses nothing: the option can be removed once no process does. Two lanes that
	// both have had events cannot become one. Default: none.
	Formerly string
	// Middleware decorates the Deliver of the lane's sink, for example to log or to measure. Handle
	// calls it once. The sink that it returns gets the deliveries and passes them on to next. Only its
	// Deliver is used, and it must not be nil. Default: no decoration.
	Middleware func(next Sink) Sink
	// EveryEvent sends each event, as chat and audit targets need. With false, a newer state of a
	// problem supersedes an older one that was not sent, as suits PagerDuty. A sink that is an
	// [EveryEvent] sets it.
	EveryEvent bool
	// PerMinute is the number of requests in any 60 s. Default: 120, the limit of PagerDuty for one
	// integration key. Lanes of one account share the lowest, see [AccountNamer].
	PerMinute int
	// Concurrency is the number of attempts in flight. Default: [DefaultConcurrency].
	Concurrency int
	// AttemptTimeout is the longest that one Deliver may take. Default: 30 s.
	AttemptTimeout time.Duration
	// MaxAttempts is how many failures make an entry dead. A failure counts only if the target took
	// another event since the entry's last failure, so no outage kills an event. Default: 60.
	MaxAttempts int
	// MaxAge is how long an entry is tried after it was accepted, in an outage too. Then it is dead.
	// Default: 72 h.
	MaxAge time.Duration
}

// DefaultConcurrency is the default of SinkOptions.Concurrency. It is more than the budget needs,
// because an attempt also waits for the disk, and a few attempts that hang must not use all places.
const DefaultConcurrency = 32

func (o *SinkOptions) withDefaults() (d SinkOptions, err error) {
	if o != nil {
		d = *o
	}
	if n := min(int64(d.PerMinute), int64(d.Concurrency), int64(d.AttemptTimeout),
		int64(d.MaxAttempts), int64(d.MaxAge)); n < 0 {
		return d, fmt.Errorf("relay: a field of SinkOptions is negative (%d); zero means the default", n)
	}
	orDefault(&d.PerMinute, 120)
	orDefault(&d.Concurrency, DefaultConcurrency)
	orDefault(&d.AttemptTimeout, 30*time.Second)
	orDefault(&d.MaxAttempts, 60)
	orDefault(&d.MaxAge, 72*time.Hour)
	return d, nil
}

func orDefault[T int | time.Duration](v *T, d T) {
	if *v == 0 {
		*v = d
	}
}

// SinkFunc is a function that is a Sink. A nil SinkFunc fails each time.
type SinkFunc func(ctx context.Context, d *Delivery) error

// Deliver calls f.
func (f SinkFunc) Deliver(ctx context.Context, d *Delivery) error {
	if f == nil {
		return fmt.Errorf("relay: the sink of lane %q is a nil SinkFunc: it delivers nothing", d.Lane)
	}
	return f(ctx, d)
}

// An Ignorer is a [Sink] that can say without I/O that it ignores an event. The outcome of such an
// event is recorded when it is accepted, so it supersedes nothing and uses no budget.
type Ignorer interface {
	Sink
	// Ignores returns why the event is ignored, or "" if it is to be delivered. It may be called
	// concurrently.
	Ignores(e *guance.Event) string
}

// An EveryEvent is a [Sink] that can set SinkOptions.EveryEvent.
type EveryEvent interface {
	Sink
	// EveryEvent reports whether each event is sent, and none is superseded. Handle calls it once.
	EveryEvent() bool
}

// A Delivery is one attempt to bring one event to a target. Where the target needs a key, Problem
// is the one to send: the keys in Event are what its sender wrote, and may name problems of others.
type Delivery struct {
	Event    *guance.Event
	Lane     string
	Source   string    // who sent it; empty for the source without a name, see [Source]
	Problem  string    // the problem key, see [ProblemKey]
	Seq      uint64    // the entry's place in its lane
	Attempt  int       // 1, plus the number of failed attempts that counted
	Accepted time.Time // when the relay took the event

	wait func(ctx context.Context) error // nil: no budget
	lost func()                          // nil: not kept
	log  func(...slog.Attr)              // nil: not logged
}

// LogAttrs adds attributes to the line that the lane logs once the event is delivered, such as what
// the target answered. They must not hold secrets. They are dropped if the attempt fails. LogAttrs
// must be called within Deliver, and not concurrently.
func (d *Delivery) LogAttrs(attrs ...slog.Attr) {
	if d.log != nil {
		d.log(attrs...)
	}
}

// LostAnswer says that a request of this delivery got no answer, although the target may handle it
// later. The lane then sends the recovery of the problem twice. A sink calls it even if a later
// request of the delivery succeeds. It need not call it if Deliver returns an error that is a
// timeout, the end of a connection or of a context, or has a method AnswerLost() bool.
func (d *Delivery) LostAnswer() {
	if d.lost != nil {
		d.lost()
	}
}

// Wait waits until the budget has a request. A sink calls it before each request that it sends. The
// first call of a delivery returns at once, unless the process was held up for a second since the
// lane took the request from the budget. Wait fails if ctx ends, or if the budget has no request
// before the deadline of ctx. Then Deliver should return the error; the attempt does not count as
// failed. Wait may be called concurrently. It makes a Delivery a pagerduty.Limiter.
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

// Permanent returns an error that no retry can mend. The entry becomes a dead letter with this
// reason.
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

// RetryAfter returns the error of a target that is too busy, as with a 429. The whole lane pauses
// for d, at most 15 minutes. If d is not positive, the lane chooses the time. It counts as no
// failure.
func RetryAfter(err error, d time.Duration) error {
	if err == nil {
		return nil
	}
	return &retryAfterError{err, d}
}

type ignoreError struct{ reason string }

func (e *ignoreError) Error() string { return e.reason }
func (e *ignoreError) Ignored() bool { return true }

// Ignore returns an error that ends the entry as ignored. A sink that ignores events should also be
// an [Ignorer]: otherwise an ignored event may supersede an older one that would have been sent.
func Ignore(reason string) error { return &ignoreError{reason} }
