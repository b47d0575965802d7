package simulate

import (
	"fmt"
	"time"

	"github.com/guance-relay/guance-relay/relay/memstore"
)

// What happens to one node of several. Each lasts while other things happen.
type (
	killNode struct { // as SIGKILL does
		node int
		down time.Duration
	}
	stopNode struct { // as SIGTERM does
		node int
		down time.Duration
	}
	pauseNode struct { // as SIGSTOP and SIGCONT do
		node  int
		looks int // not at once, but right before so many looks at a lease
		lasts time.Duration
	}
	pauseBeforeSend struct { // between the look at the lease and a request
		node  int
		sends int // the number of the request from now on
		lasts time.Duration
	}
	cutNode struct { // off from the engine
		node  int
		how   memstore.Cut
		lasts time.Duration
	}
)

// What happens to the engine.
type (
	engineAway struct{ lasts time.Duration }
	// rollBack has the standby of the engine take over. It lacks what was committed last.
	rollBack struct{ lacks time.Duration }
	// standbyAway has commits wait for a standby that is away. It catches up, or takes over.
	standbyAway struct {
		lasts    time.Duration
		promoted bool
	}
)

func (k killNode) do(w *world) {
	w.process(k.node).kill()
	w.later(k.down, func() { w.startNode(k.node) })
}

func (k killNode) String() string {
	return fmt.Sprintf("%s is killed and back after %v", nodeName(k.node),
		k.down.Round(time.Millisecond))
}

func (s stopNode) do(w *world) {
	p := w.process(s.node)
	w.later(0, func() {
		w.stopProcess(p)
		time.Sleep(s.down)
		w.startNode(s.node)
	})
}

func (s stopNode) String() string {
	return fmt.Sprintf("%s is stopped and back after %v", nodeName(s.node),
		s.down.Round(time.Millisecond))
}

func (s pauseNode) do(w *world) {
	p := w.process(s.node)
	if !p.up() {
		return // promise 8 is of a process that runs
	}
	if s.looks > 0 {
		p.link.pauseAt(s.looks, s.lasts)
		return
	}
	p.link.pause(s.lasts)
}

func (s pauseNode) String() string {
	when := ""
	if s.looks > 0 {
		when = fmt.Sprintf(" when it looks at its lease the %d. time", s.looks)
	}
	return fmt.Sprintf("%s is paused%s for %v", nodeName(s.node), when,
		s.lasts.Round(time.Millisecond))
}

func (s pauseBeforeSend) do(w *world) {
	if p := w.process(s.node); p.up() {
		p.link.pauseBeforeSend(s.sends, s.lasts)
	}
}

func (s pauseBeforeSend) String() string {
	return fmt.Sprintf("%s is paused before its %d. request for %v", nodeName(s.node), s.sends,
		s.lasts.Round(time.Millisecond))
}

func (c cutNode) do(w *world) {
	p := w.process(c.node)
	p.link.Cut(c.how)
	w.later(c.lasts, func() { p.link.Cut(memstore.Connected) })
}

func (c cutNode) String() string {
	what := "requests"
	if c.how == memstore.AnswersLost {
		what = "answers"
	}
	return fmt.Sprintf("%s loses its %s to and from the engine for %v", nodeName(c.node), what,
		c.lasts.Round(time.Millisecond))
}

func (e engineAway) do(w *world) {
	w.engine.Stop()
	w.later(e.lasts, w.engine.Start)
}

func (e engineAway) String() string {
	return fmt.Sprintf("the engine is away for %v", e.lasts.Round(time.Millisecond))
}

func (r rollBack) do(w *world) {
	w.engine.Replicate()
	w.later(r.lacks, w.engine.Promote)
}

func (r rollBack) String() string {
	return fmt.Sprintf("the engine's standby receives nothing, and takes over after %v",
		r.lacks.Round(time.Millisecond))
}

func (s standbyAway) do(w *world) {
	w.engine.LoseStandby()
	if s.promoted {
		w.later(s.lasts, w.engine.Promote)
	} else {
		w.later(s.lasts, w.engine.CatchUp)
	}
}

func (s standbyAway) String() string {
	ends := "catches up"
	if s.promoted {
		ends = "takes over"
	}
	return fmt.Sprintf("commits wait for the engine's standby, which %s after %v", ends,
		s.lasts.Round(time.Millisecond))
}

// later calls fn after a time, while all else goes on.
func (w *world) later(after time.Duration, fn func()) {
	w.senders.Go(func() {
		time.Sleep(after)
		fn()
	})
}
