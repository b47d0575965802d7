package relay

import "context"

// A question is for the loop of a lane, which alone knows the schedule. It is asked again after the next outcome that the loop hears of if it
// could not be answered: between the moment an outcome is durable and the moment the loop hears of it, the store and the schedule
// contradict each other.
type question struct {
	// ask holds the function that asks and reports whether it was answered. Who takes it out is the only one that may call it: the loop to
	// ask, or the caller to give up.
	ask      chan func() bool
	answered chan struct{} // closed
}

// ask has the loop call fn until it reports true, and returns whether it did; false if the lane does not run or ctx ended. Whatever fn has
// begun is waited for, and after ask has returned fn is not called any more.
func (l *lane) ask(ctx context.Context, fn func() bool) bool {
	q := question{make(chan func() bool, 1), make(chan struct{})}
	q.ask <- fn
	select {
	case l.questions <- q:
	case <-l.ended:
		return false
	case <-ctx.Done():
		return false
	}
	select {
	case <-q.answered:
		return true
	case <-l.ended:
	case <-ctx.Done():
	}
	select {
	case <-q.answered:
		return true
	case <-q.ask:
		return false
	}
}

// answer asks q, unless its caller has given up, and keeps it if it could not be answered.
func (l *lane) answer(q question) {
	select {
	case fn := <-q.ask:
		if fn() {
			close(q.answered)
			return
		}
		q.ask <- fn
		l.asked = append(l.asked, q)
	default:
	}
}

// answerAgain asks what could not be answered before.
func (l *lane) answerAgain() {
	asked := l.asked
	l.asked = nil
	for _, q := range asked {
		l.answer(q)
	}
}
