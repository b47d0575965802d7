package relay

import (
	"context"
	"errors"
	"log/slog"
	"time"
)

// complainEvery is how often the log says that something does not get through.
const complainEvery = time.Minute

// trouble is what keeps events from getting through, and what the log was told of it: a target that is down for an hour is one line a
// minute, and not one for each attempt. Times are those of the lane's clock.
type trouble struct {
	words            // of the last failure; no reason while the target takes events
	since  time.Time // of the first failure after an event was taken
	told   time.Time // of the last line; zero: there was none
	untold int       // failures since that line
	last   report    // the last failure
	stuck  words     // of the last failure of an entry that is stuck; no reason while there is none
	panics bool      // a stack was logged
}

// words say what is wrong.
type words struct {
	reason string
	remedy string // what to do about it, if anybody knows
}

// seen takes a failure.
func (t *trouble) seen(log *slog.Logger, r report, now time.Time) {
	if t.reason == "" {
		t.since = now
	}
	t.words, t.last = words{r.verdict.reason, r.verdict.remedy}, r
	t.untold++
	if !t.panics && len(r.verdict.stack) > 0 {
		t.panics = true
		log.Error("relay: the sink panicked; this is logged once", "seq", r.entry.Seq, "reason", t.reason, "stack", string(r.verdict.stack))
	}
}

// over takes that the target took an event. What is stuck stays so.
func (t *trouble) over(log *slog.Logger, shown func(time.Time) time.Time) {
	if t.reason != "" && !t.told.Before(t.since) {
		log.Info("relay: the target takes events again", "since", shown(t.since))
	}
	t.words, t.untold = words{}, 0
}

// stuck returns what does not get through, and when the oldest of it was kept. While the target counts as down that is all there is.
func (l *lane) stuck() (n int, oldest time.Time, why words) {
	s := l.schedule
	if s.breaker.down() {
		return s.pending, s.oldest(), l.trouble.words
	}
	if n, oldest = s.stuckSince(); n == 0 {
		l.trouble.stuck = words{}
	}
	return n, oldest, l.trouble.stuck
}

// complain writes one line into the log if something does not get through, and returns when to call it again; zero: after the next failure.
func (l *lane) complain(now time.Time) time.Time {
	t := &l.trouble
	n, oldest, why := l.stuck()
	if n == 0 && t.untold == 0 {
		return time.Time{}
	}
	if next := t.told.Add(complainEvery); !t.told.IsZero() && now.Before(next) {
		return next
	}
	about := []any{"attempts", t.untold}
	message := "relay: the target did not take an event; it is kept and tried again"
	if n > 0 {
		message = "relay: events do not get through; they are kept and tried again"
		about = append(about, "stuck", n, "oldest", l.clock.shown(oldest))
	} else {
		why = t.words
		about = append(about, "seq", t.last.entry.Seq, "throttled", t.last.verdict.throttled)
	}
	if t.reason != "" {
		about = append(about, "since", l.clock.shown(t.since))
	}
	about = append(about, "reason", why.reason)
	level := slog.LevelWarn
	if why.remedy != "" { // somebody has to do something
		level = slog.LevelError
		about = append(about, "remedy", why.remedy)
	}
	l.log.Log(context.Background(), level, message, about...)
	t.told, t.untold = now, 0
	if n == 0 {
		return time.Time{}
	}
	return now.Add(complainEvery)
}

// stackOf returns the stack of a sink's panic.
func stackOf(err error) []byte {
	if e, ok := errors.AsType[*panicError](err); ok {
		return e.stack
	}
	return nil
}
