package relay

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/guance-relay/guance-relay/relay/store"
)

// ofOneEntry reports whether an error is about one entry, and not about the whole store.
func ofOneEntry(err error) bool {
	return errors.Is(err, store.ErrDamaged) && !errors.Is(err, store.ErrFailed)
}

func (l *lane) setAside(t ticket, err error, now time.Time) {
	l.log.Error("relay: an entry cannot be read; it is kept, and the later ones of its problem wait behind it",
		"seq", t.item.seq, "again", asideFor, "error", err.Error())
	l.schedule.setAside(t.problem, now)
	l.trouble.stuck = words{reason: err.Error()}
}

// mark makes marks durable together, and returns them. If the store cannot read an entry that one of them is of, it goes problem by problem, so
// that none stands in the way of another, and returns those that it made, with their time. The others are pending still when the lane starts
// again. marks stay as they are: the loop may read them meanwhile.
func (l *lane) mark(ctx context.Context, marks []store.Mark) (made []store.Mark, err error) {
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
			l.log.Error("relay: how an entry ended cannot be recorded; it is kept, and looked at again after a restart",
				"seq", marks[0].Seq, "outcome", marks[0].Outcome.String(), "error", err.Error())
		default:
			return made, err
		}
	}
	return made, nil
}
