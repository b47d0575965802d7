package relay

import (
	"errors"
	"log/slog"
	"time"
)

// complainEvery is how often a target that stays in trouble is news.
const complainEvery = time.Minute

// trouble is what a lane has said of its target in the log: a target that is down for an hour is one piece of news, and not one for each
// attempt.
type trouble struct {
	reason string // of the last failure; empty while there is no trouble
	told   time.Time
	since  time.Time
	untold int
	panics bool // a stack was logged
}

func (t *trouble) seen(log *slog.Logger, r report, now time.Time) {
	if t.reason == "" {
		t.since, t.told = now, time.Time{}
	}
	t.reason = r.verdict.reason
	if !t.panics && len(r.verdict.stack) > 0 {
		t.panics = true
		log.Error("relay: the sink panicked; this is logged once", "seq", r.entry.Seq, "reason", t.reason, "stack", string(r.verdict.stack))
	}
	t.untold++
	if now.Sub(t.told) < complainEvery {
		return
	}
	log.Warn("relay: the target did not take an event; it is kept and tried again", "seq", r.entry.Seq,
		"throttled", r.verdict.throttled, "attempts", t.untold, "since", t.since, "reason", t.reason)
	t.told, t.untold = now, 0
}

func (t *trouble) over(log *slog.Logger) {
	if t.reason != "" {
		log.Info("relay: the target takes events again", "since", t.since)
	}
	t.reason, t.untold = "", 0
}

// stackOf returns the stack of a sink's panic.
func stackOf(err error) []byte {
	if e, ok := errors.AsType[*panicError](err); ok {
		return e.stack
	}
	return nil
}
