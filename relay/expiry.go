package relay

import (
	"context"
	"time"

	"github.com/guance-relay/guance-relay/relay/internal/schedule"
	"github.com/guance-relay/guance-relay/relay/store"
)

// expireAtOnce is how many entries expire in one commit.
const expireAtOnce = 100

// expire makes dead letters of entries that are too old. It writes one line into the log for all.
func (l *lane) expire(ctx context.Context, now time.Time) error {
	tickets := l.schedule.Expired(now, expireAtOnce)
	if len(tickets) == 0 {
		return nil
	}
	keep := context.WithoutCancel(ctx)
	reason := "not delivered within " + l.opts.MaxAge.String()
	var marks, dead []store.Mark
	due := make(map[uint64]schedule.Ticket)
	for _, t := range tickets {
		e, err := l.owned.Load(keep, t.Seq())
		switch {
		case ofOneEntry(err):
			l.quarantine(t, err, now)
			continue
		case err != nil:
			return err
		}
		marks = append(marks, l.schedule.ExpiredMark(t, e.Problem, reason))
		due[t.Seq()] = t
	}
	if len(marks) == 0 {
		return nil
	}
	made, err := l.writeMarks(keep, marks)
	if err != nil {
		return err
	}
	for _, m := range made {
		l.schedule.Settle(due[m.Seq], m)
		l.count(m.Outcome, 1)
		delete(due, m.Seq)
		if m.Outcome == store.Dead {
			dead = append(dead, m)
		}
	}
	for _, t := range due {
		l.schedule.Quarantine(t, now)
		l.failures.stuck = failure{reason: "the outcome of an entry that is too old cannot be written"}
	}
	if len(dead) == 0 {
		return nil
	}
	l.log.Error("relay: events given up for their age; they are kept as dead letters",
		"entries", len(dead), "first", dead[0].Seq, "last", dead[len(dead)-1].Seq, "reason", reason)
	return nil
}
