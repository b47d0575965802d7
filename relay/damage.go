package relay

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/guance-relay/guance-relay/relay/internal/schedule"
	"github.com/guance-relay/guance-relay/relay/store"
)

// ofOneEntry reports whether an error is about one entry, and not about the whole store.
func ofOneEntry(err error) bool {
	return errors.Is(err, store.ErrDamaged) && !errors.Is(err, store.ErrFailed)
}

func (l *lane) quarantine(t schedule.Ticket, err error, now time.Time) {
	l.log.Error("relay: an entry cannot be read; it is kept, and later ones of its problem wait",
		"seq", t.Seq(), "again", schedule.QuarantineFor, "error", err.Error())
	l.schedule.Quarantine(t, now)
	l.failures.stuck = failure{reason: err.Error()}
}

// writeMarks makes marks durable together, and returns copies with the time. If the store cannot
// read one of the entries, it writes the marks problem by problem and returns those that it could
// write. The other entries are pending again after a restart.
func (l *lane) writeMarks(ctx context.Context, marks []store.Mark) (made []store.Mark, err error) {
	marks = slices.Clone(marks)
	for i := range marks {
		marks[i].At = l.clock.wall()
	}
	if err = l.owned.Mark(ctx, marks); err == nil {
		return marks, nil
	}
	if !ofOneEntry(err) {
		return nil, err
	}
	problems := make(map[string][]store.Mark)
	for _, m := range marks {
		problems[m.Problem] = append(problems[m.Problem], m)
	}
	for _, marks := range problems {
		switch err := l.owned.Mark(ctx, marks); {
		case err == nil:
			made = append(made, marks...)
		case ofOneEntry(err):
			l.log.Error("relay: an outcome cannot be written; the entry is kept, and tried after a restart",
				"seq", marks[0].Seq, "outcome", marks[0].Outcome.String(), "error", err.Error())
		default:
			return made, err
		}
	}
	return made, nil
}
