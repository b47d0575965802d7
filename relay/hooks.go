package relay

import (
	"fmt"

	"github.com/guance-relay/guance-relay/guance"
)

// A hook is a function of the program that the relay calls before anything is kept. If one panics, the events of the other lanes must not be
// lost to it, so each has a safe answer, and the log has an error with the stack, at most once a minute.

// matches reports whether the lane wants an event. A panic of Match is a yes: a page too many is safer than one too few.
func (l *lane) matches(e *guance.Event) (wanted bool) {
	if l.opts.Match == nil {
		return true
	}
	defer l.hooks.match.recovered(l.log, "relay: Match panicked; the lane takes the event", func() { wanted = true })
	return l.opts.Match(e)
}

// ignores returns why the sink asks for nothing, or "". A panic of Ignores is "": if Deliver panics too, that attempt fails.
func (l *lane) ignores(e *guance.Event) (reason string) {
	defer l.hooks.ignores.recovered(l.log, "relay: Ignores panicked; the lane takes the event", func() { reason = "" })
	if chooser, ok := SinkAs[Chooser](l.sink); ok {
		return chooser.Ignores(e)
	}
	return ""
}

// decorate applies SinkOptions.Middleware, and logs what a decorator hides.
func (l *lane) decorate() {
	l.delivers = l.sink
	if err := CheckSink(l.sink); err != nil {
		l.log.Warn("relay: a decorator hides what its sink can do; events may be lost to those that the sink ignores, and a shared budget overspent",
			"error", err.Error())
	}
	if l.opts.Middleware == nil {
		return
	}
	if l.delivers = l.opts.Middleware(l.sink); isNil(l.delivers) {
		panic(fmt.Sprintf("relay: lane %q: SinkOptions.Middleware returned nil; it must return a sink, next itself if it changes nothing", l.name))
	}
}
