package relay

import "context"

// A call is a function that the loop of a lane runs, because only the loop may use the schedule.
//
// Between the moment an outcome is durable and the moment the loop has its message, the store and
// the schedule contradict each other. A function that meets this reports false, and the loop runs
// it again after the next outcome.
type call struct {
	// fn holds the function. Only who takes it out may use it: the loop to run it, or the caller to
	// give up.
	fn   chan func(*lane) bool
	done chan struct{} // closed once fn has reported true
}

// call has the loop that runs the lane run fn until fn reports true. It returns false if this lane
// has ended or ctx ends before. It waits for a run that has begun; fn is not run after call has
// returned.
func (l *lane) call(ctx context.Context, fn func(*lane) bool) bool {
	c := call{make(chan func(*lane) bool, 1), make(chan struct{})}
	c.fn <- fn
	select {
	case l.calls <- c:
	case <-l.ended:
		return false
	case <-ctx.Done():
		return false
	}
	select {
	case <-c.done:
		return true
	case <-l.ended:
	case <-ctx.Done():
	}
	select {
	case <-c.done:
		return true
	case <-c.fn:
		return false
	}
}

// perform runs the function of c, unless its caller has given up.
func (l *lane) perform(c call) {
	select {
	case fn := <-c.fn:
		if fn(l) {
			close(c.done)
			return
		}
		c.fn <- fn
		l.retried = append(l.retried, c)
	default:
	}
}

// performAgain runs the functions that reported false.
func (l *lane) performAgain() {
	calls := l.retried
	l.retried = nil
	for _, c := range calls {
		l.perform(c)
	}
}

// call has the loop of a lane run fn, see lane.call. If the lane is replaced meanwhile, the loop
// that follows runs it. It returns false if there is no lane of that name, it does not run, or ctx
// ends.
func (r *Relay) call(ctx context.Context, name string, fn func(*lane) bool) bool {
	for l := r.findLane(name); l != nil; {
		if l.call(ctx, fn) {
			return true
		}
		if r.change.take(ctx) != nil {
			return false
		}
		next := r.findLane(name) // if the lane was being replaced, this is its successor
		r.change.giveBack()
		if next == l || ctx.Err() != nil {
			return false
		}
		l = next
	}
	return false
}
