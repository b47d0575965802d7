package relay

import (
	"context"
	"time"

	"github.com/guance-relay/guance-relay/relay/store"
)

// expireAhead is how many entries are given up for their age at once.
const expireAhead = 100

// expire gives up what is too old, with one line in the log for all of it and a reason in each dead letter.
func (l *lane) expire(ctx context.Context, now time.Time) error {
	tickets := l.schedule.expired(now, expireAhead)
	if len(tickets) == 0 {
		return nil
	}
	keep := context.WithoutCancel(ctx)
	reason := "not delivered within " + l.opts.MaxAge.String()
	var marks, dead []store.Mark
	due := make(map[uint64]ticket)
	for _, t := range tickets {
		e, err := l.owned.Load(keep, t.item.seq)
		switch {
		case ofOneEntry(err):
			l.setAside(t, err, now)
			continue
		case err != nil:
			return err
		}
		m := l.schedule.tooOld(t, reason)
		m.Problem = e.Problem
		marks = append(marks, m)
		due[t.item.seq] = t
	}
	if len(marks) == 0 {
		return nil
	}
	made, err := l.mark(keep, marks)
	if err != nil {
		return err
	}
	for _, m := range made {
		l.schedule.settle(due[m.Seq], m)
		l.counted(m.Outcome, 1)
		delete(due, m.Seq)
		if m.Outcome == store.Dead {
			dead = append(dead, m)
		}
	}
	for _, t := range due {
		l.schedule.setAside(t.problem, now)
		l.trouble.stuck = words{reason: "that it is too old cannot be recorded"}
	}
	if len(dead) == 0 {
		return nil
	}
	l.log.Error("relay: events given up for their age; they are kept as dead letters", "entries", len(dead),
		"first", dead[0].Seq, "last", dead[len(dead)-1].Seq, "reason", reason)
	return nil
}
