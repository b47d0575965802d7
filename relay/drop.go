package relay

import (
	"context"
	"errors"
	"fmt"

	"github.com/guance-relay/guance-relay/relay/internal/schedule"
	"github.com/guance-relay/guance-relay/relay/store"
)

// ErrInFlight: the entry is being sent, or was delivered. Nothing was changed.
var ErrInFlight = errors.New("the entry is in flight")

// DropPending ends a pending entry as dead: it becomes a dead letter with the reason "dropped by
// <by>", and can be replayed. The lane need not have a sink. DropPending fails with [ErrInFlight]
// if the entry is being sent, with [store.ErrNotFound] if it is not pending, and with [ErrNoLane]
// if there is no such lane. Before Run, it waits. After Run, it fails.
func (r *Relay) DropPending(ctx context.Context, name string, seq uint64, by string) error {
	if r.standsBy(name) {
		return r.elsewhere(ctx, name, "dropping entry", command{Do: doKill, Seq: seq, By: by})
	}
	return r.onEntry(ctx, name, seq, "dropping entry",
		func(ctx context.Context, l *lane, seq uint64) (bool, error) {
			return l.dropPending(ctx, seq, "dropped by "+by)
		})
}

// dropPending is called by the loop. It reports false while the outcome of the entry is durable and
// the message is on its way.
func (l *lane) dropPending(ctx context.Context, seq uint64, reason string) (done bool, err error) {
	e, err := l.owned.Load(ctx, seq)
	if err != nil {
		return true, err
	}
	m, ok := l.schedule.DropMark(e.Problem, seq, reason)
	if !ok {
		return true, l.whyNotWaiting(e)
	}
	made, err := l.writeMarks(ctx, []store.Mark{m})
	if err != nil || len(made) == 0 {
		return true, errors.Join(err, store.ErrDamaged)
	}
	l.schedule.Drop(made[0])
	l.count(store.Dead, 1)
	return true, nil
}

// whyNotWaiting returns why a pending entry can be neither dropped nor sent now.
func (l *lane) whyNotWaiting(e *store.Entry) error {
	for _, w := range l.schedule.Waiting(e.Problem) {
		if w.Seq == e.Seq && w.Reason == schedule.Repeat {
			return fmt.Errorf("the target has taken it: %w", ErrInFlight)
		}
		if w.Seq == e.Seq {
			return ErrInFlight
		}
	}
	return errors.New("the lane has not read the entry yet, or it is just ending; try again")
}
