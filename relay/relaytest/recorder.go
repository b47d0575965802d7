package relaytest

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/guance-relay/guance-relay/relay"
)

// A Recorder is a relay.Sink that records an [Attempt] for each delivery and passes the delivery to
// another sink. It may be used concurrently, and by one relay after another in a test of restarts.
// It keeps no Delivery and no Event.
type Recorder struct {
	mu       sync.Mutex
	sink     relay.Sink
	attempts []Attempt
	flight   map[string]int // attempts in flight, by problem
	inFlight int
	most     int
	mostOf   map[string]int
	changed  chan struct{} // closed and replaced whenever an attempt begins or ends
}

// Record returns a Recorder in front of s; nil means [Takes]. Call it in the synctest bubble that
// uses the recorder.
func Record(s relay.Sink) *Recorder {
	r := &Recorder{flight: make(map[string]int), mostOf: make(map[string]int),
		changed: make(chan struct{})}
	r.Use(s)
	return r
}

// Unwrap returns the sink behind the recorder, so that a lane finds its optional behaviour, such as
// relay.Ignorer. Some of it a lane reads only once, in Handle.
func (r *Recorder) Unwrap() relay.Sink {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.sink
}

// Deliver records the attempt and passes it on. A panic of the sink behind is recorded as
// [Unknown].
func (r *Recorder) Deliver(ctx context.Context, d *relay.Delivery) (err error) {
	i, problem, sink := r.begin(d)
	answer := Unknown
	defer func() { r.end(i, problem, answer, err) }()
	err = sink.Deliver(ctx, d)
	answer = answerOf(err)
	return err
}

func (r *Recorder) begin(d *relay.Delivery) (i int, problem string, sink relay.Sink) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.attempts = append(r.attempts, Attempt{
		Seq: d.Seq, ID: relay.EventID(d.Source, d.Event), Problem: d.Problem, State: d.Event.State(),
		Level: d.Event.Level(), Number: d.Attempt,
		Start: time.Now(),
	})
	r.inFlight++
	r.flight[d.Problem]++
	r.most = max(r.most, r.inFlight)
	r.mostOf[d.Problem] = max(r.mostOf[d.Problem], r.flight[d.Problem])
	r.tell()
	return len(r.attempts) - 1, d.Problem, r.sink
}

func (r *Recorder) end(i int, problem string, answer Answer, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	a := &r.attempts[i]
	a.End, a.Answer, a.Err = time.Now(), answer, err
	r.inFlight--
	if r.flight[problem]--; r.flight[problem] == 0 {
		delete(r.flight, problem)
	}
	r.tell()
}

// tell wakes the callers of Wait. mu is held.
func (r *Recorder) tell() {
	close(r.changed)
	r.changed = make(chan struct{})
}

// Use passes later deliveries to s, as if the target broke or recovered. Nil means [Takes].
func (r *Recorder) Use(s relay.Sink) {
	if s == nil {
		s = Takes()
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.sink = s
}

// Attempts returns all attempts in the order of Start. Those in flight have no End and are
// [Unknown].
func (r *Recorder) Attempts() []Attempt {
	return r.where(func(*Attempt) bool { return true })
}

// Of returns the attempts of one problem in the order of Start.
func (r *Recorder) Of(problem string) []Attempt {
	return r.where(func(a *Attempt) bool { return a.Problem == problem })
}

// Taken returns the attempts that were taken, in the order of Start.
func (r *Recorder) Taken() []Attempt {
	return r.where(func(a *Attempt) bool { return a.Answer == Taken })
}

func (r *Recorder) where(want func(*Attempt) bool) (found []Attempt) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for i := range r.attempts {
		if want(&r.attempts[i]) {
			found = append(found, r.attempts[i])
		}
	}
	return found
}

// MaxConcurrent returns the most attempts that were ever in flight at once.
func (r *Recorder) MaxConcurrent() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.most
}

// MaxConcurrentOf returns the most attempts of one problem that were ever in flight at once; a lane
// allows one.
func (r *Recorder) MaxConcurrentOf(problem string) int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.mostOf[problem]
}

// Wait returns nil once done returns true for the attempts so far, or the cause of ctx if that ends
// first. It calls done again whenever an attempt begins or ends. done must neither change the slice
// nor call the recorder.
func (r *Recorder) Wait(ctx context.Context, done func(attempts []Attempt) bool) error {
	for {
		r.mu.Lock()
		ok, n, changed := done(slices.Clip(r.attempts)), len(r.attempts), r.changed
		r.mu.Unlock()
		if ok {
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return fmt.Errorf("relaytest: what was waited for did not come, after %d attempts: %w",
				n, context.Cause(ctx))
		}
	}
}

// WaitTaken waits until n attempts were taken.
func (r *Recorder) WaitTaken(ctx context.Context, n int) error {
	return r.Wait(ctx, func(attempts []Attempt) bool {
		taken := 0
		for i := range attempts {
			if attempts[i].Answer == Taken {
				taken++
			}
		}
		return taken >= n
	})
}
