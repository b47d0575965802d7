package relaytest

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/guance-relay/guance-relay/relay"
)

// A Recorder is a relay.Sink that keeps an [Attempt] for each delivery and leaves the answer to another sink. It may be used
// concurrently, and by one relay after the other, as in a test of restarts. It keeps no Delivery and no Event.
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

// Record returns a Recorder before s; nil means [Takes]. Make it within the synctest bubble that uses it.
func Record(s relay.Sink) *Recorder {
	r := &Recorder{flight: make(map[string]int), mostOf: make(map[string]int), changed: make(chan struct{})}
	r.Answer(s)
	return r
}

// Unwrap returns the sink behind, so that a lane finds its optional behaviour: a relay.Ignorer is asked what it ignores, and so on. What a
// lane asks once, by Handle, is that of the sink that was behind then.
func (r *Recorder) Unwrap() relay.Sink {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.sink
}

// Deliver records the attempt and has the sink behind answer it. A panic of that sink is recorded as [Unknown] and goes on.
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
		Seq: d.Seq, ID: relay.EventID(d.Event), Problem: d.Problem, State: d.Event.State(), Level: d.Event.Level(), Number: d.Attempt,
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

// tell wakes who waits. mu is held.
func (r *Recorder) tell() {
	close(r.changed)
	r.changed = make(chan struct{})
}

// Answer has deliveries from now on answered by s: the target breaks, or is mended. Nil means [Takes].
func (r *Recorder) Answer(s relay.Sink) {
	if s == nil {
		s = Takes()
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.sink = s
}

// Attempts returns all attempts in the order in which they began. Those in flight have no End and are [Unknown].
func (r *Recorder) Attempts() []Attempt {
	return r.where(func(*Attempt) bool { return true })
}

// Of returns the attempts of one problem in the order in which they began.
func (r *Recorder) Of(problem string) []Attempt {
	return r.where(func(a *Attempt) bool { return a.Problem == problem })
}

// Taken returns the attempts that were taken in the order in which they began.
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

// MaxConcurrentOf returns the most attempts of one problem that were ever in flight at once; a lane allows one.
func (r *Recorder) MaxConcurrentOf(problem string) int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.mostOf[problem]
}

// Wait returns nil once is reports true of all attempts so far, and the cause of ctx's end if that comes first. Is is called again
// whenever an attempt begins or ends; it must neither change the slice nor call the recorder.
func (r *Recorder) Wait(ctx context.Context, is func(attempts []Attempt) bool) error {
	for {
		r.mu.Lock()
		ok, n, changed := is(slices.Clip(r.attempts)), len(r.attempts), r.changed
		r.mu.Unlock()
		if ok {
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return fmt.Errorf("relaytest: what was waited for did not come, after %d attempts: %w", n, context.Cause(ctx))
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
