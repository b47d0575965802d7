package relay

import (
	"fmt"

	"github.com/guance-relay/guance-relay/guance"
)

// Match and Ignores are called before an event is kept. If one of them panics, the event is kept
// all the same, for this lane and the others. The log has an error with the stack at most once a
// minute.

// matches reports what Match says. It is true if Match panics: a needless page is safer than a
// missing one.
func (l *laneConfig) matches(e *guance.Event) (wanted bool) {
	defer l.hooks.match.recovered(l.log, "relay: Match panicked; the lane takes the event",
		func() { wanted = true })
	return l.opts.Match(e)
}

// ignores returns why the sink ignores an event, or "", also if Ignores panics.
func (l *laneConfig) ignores(e *guance.Event) (reason string) {
	defer l.hooks.ignores.recovered(l.log, "relay: Ignores panicked; the lane takes the event",
		func() { reason = "" })
	if i, ok := SinkAs[Ignorer](l.sink); ok {
		return i.Ignores(e)
	}
	return ""
}

// decorate applies SinkOptions.Middleware, and logs what a decorator hides.
func (l *laneConfig) decorate() error {
	l.decorated = l.sink
	if err := CheckSink(l.sink); err != nil {
		l.log.Warn("relay: a decorator hides methods of its sink; ignored events may supersede others, "+
			"and a shared budget may be exceeded", "error", err.Error())
	}
	if l.opts.Middleware == nil {
		return nil
	}
	if l.decorated = l.opts.Middleware(l.sink); isNil(l.decorated) {
		return fmt.Errorf("relay: lane %q: SinkOptions.Middleware returned nil", l.name)
	}
	return nil
}
