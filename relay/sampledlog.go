package relay

import (
	"fmt"
	"log/slog"
	"runtime/debug"
	"sync/atomic"
	"time"

	"golang.org/x/time/rate"
)

// A sampledLog writes at most one line a minute and counts the lines that it leaves out. It is for
// what others can cause at any rate.
type sampledLog struct {
	count   atomic.Uint64
	minutes rate.Sometimes
}

func newSampledLog() sampledLog {
	return sampledLog{minutes: rate.Sometimes{Interval: time.Minute}}
}

// do calls write at most once a minute, with the number of calls of do since the last line.
func (s *sampledLog) do(write func(count uint64)) {
	s.count.Add(1)
	s.minutes.Do(func() { write(s.count.Swap(0)) })
}

// recovered must be deferred around a hook. If the hook panics, it logs the panic and calls safe,
// which sets the result of the hook.
func (s *sampledLog) recovered(log *slog.Logger, message string, safe func()) {
	p := recover()
	if p == nil {
		return
	}
	safe()
	stack := debug.Stack()
	s.do(func(n uint64) {
		log.Error(message, "panic", fmt.Sprint(p), "panics", n, "stack", string(stack))
	})
}
