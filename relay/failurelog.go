package relay

import (
	"context"
	"log/slog"
	"time"
)

// logFailuresEvery is how often the log says that events do not get through.
const logFailuresEvery = time.Minute

// A failureLog remembers the failures of a lane and what was logged of them. A target that is down
// for an hour gets one line a minute, and not one for each attempt. Times are of the lane's clock.
type failureLog struct {
	last       failure   // no reason while the target takes events
	since      time.Time // the first failure after an event was taken
	logged     time.Time // the last line; zero: there was none
	unlogged   int       // failures since that line
	stuck      failure   // the last failure of an entry that is stuck; no reason: none is stuck
	panicShown bool      // a stack was logged
}

// A failure is why an attempt failed.
type failure struct {
	reason    string
	remedy    string // what to do about it; empty: not known
	seq       uint64
	throttled bool
}

// add adds a failed attempt.
func (f *failureLog) add(log *slog.Logger, a *attempt, now time.Time) {
	if f.last.reason == "" {
		f.since = now
	}
	f.last = a.result.failure(a.entry.Seq)
	f.unlogged++
	if !f.panicShown && len(a.result.stack) > 0 {
		f.panicShown = true
		log.Error("relay: the sink panicked; this is logged once", "seq", a.entry.Seq,
			"reason", f.last.reason, "stack", string(a.result.stack))
	}
}

// over resets the log when the target took an event. What is stuck stays.
func (f *failureLog) over(log *slog.Logger, shown func(time.Time) time.Time) {
	if f.last.reason != "" && !f.logged.Before(f.since) {
		log.Info("relay: the target takes events again", "since", shown(f.since))
	}
	f.last, f.unlogged = failure{}, 0
}

// stuck returns how many entries do not get through, when the oldest was kept, and why.
func (l *lane) stuck() (n int, oldest time.Time, why failure) {
	n, oldest = l.schedule.Stuck()
	if _, down := l.schedule.Probe(); down {
		return n, oldest, l.failures.last
	}
	if n == 0 {
		l.failures.stuck = failure{}
	}
	return n, oldest, l.failures.stuck
}

// logFailures writes one line if something does not get through. It returns when to call it again;
// zero: after the next failure.
func (l *lane) logFailures(now time.Time) time.Time {
	f := &l.failures
	n, oldest, why := l.stuck()
	if n == 0 && f.unlogged == 0 {
		return time.Time{}
	}
	if next := f.logged.Add(logFailuresEvery); !f.logged.IsZero() && now.Before(next) {
		return next
	}
	attrs := []any{"attempts", f.unlogged}
	message := "relay: the target did not take an event; it is kept and tried again"
	if n > 0 {
		message = "relay: events do not get through; they are kept and tried again"
		attrs = append(attrs, "stuck", n, "oldest", l.clock.shown(oldest))
	} else {
		why = f.last
		attrs = append(attrs, "seq", why.seq, "throttled", why.throttled)
	}
	if f.last.reason != "" {
		attrs = append(attrs, "since", l.clock.shown(f.since))
	}
	attrs = append(attrs, "reason", why.reason)
	level := slog.LevelWarn
	if why.remedy != "" { // somebody has to do something
		level = slog.LevelError
		attrs = append(attrs, "remedy", why.remedy)
	}
	l.log.Log(context.Background(), level, message, attrs...)
	f.logged, f.unlogged = now, 0
	if n == 0 {
		return time.Time{}
	}
	return now.Add(logFailuresEvery)
}
