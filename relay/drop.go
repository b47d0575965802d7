package relay

import (
	"context"
	"errors"
	"fmt"
	"slices"

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
			return l.dropPending(ctx, seq, droppedBy(by))
		})
}

// dropAtOnce is how many entries [Relay.DropMatching] drops in one call of the loop: what the lane
// sends waits for as long.
const dropAtOnce = 200

// DropMatching drops pending entries as [Relay.DropPending] does, and returns how many. It leaves
// out what was not read yet, is in flight, was delivered or has ended. [Relay.MatchWaiting] returns
// the entries that a filter takes. If it fails, it has dropped as many as it returns; otherwise it
// fails as Waiting does.
func (r *Relay) DropMatching(
	ctx context.Context, name string, seqs []uint64, by string,
) (dropped int, err error) {
	for part := range slices.Chunk(seqs, dropAtOnce) {
		n, err := r.dropSome(ctx, name, part, by)
		if dropped += n; err != nil {
			return dropped, err
		}
	}
	return dropped, nil
}

func (r *Relay) dropSome(
	ctx context.Context, name string, seqs []uint64, by string,
) (dropped int, err error) {
	const doing = "dropping what matches"
	if r.standsBy(name) {
		a, err := r.ask(ctx, name, command{Do: doKillAll, Seqs: seqs, By: by})
		if err != nil {
			return 0, fmt.Errorf("relay: lane %q: %s: %w", name, doing, err)
		}
		return a.Dropped, nil
	}
	err = r.onLane(ctx, name, doing, func(l *lane) (bool, error) {
		dropped, err = l.dropSome(context.WithoutCancel(ctx), seqs, droppedBy(by))
		return true, err
	})
	return dropped, err
}

func droppedBy(by string) string { return "dropped by " + by }

// dropSome is called by the loop. It returns how many of the entries it has dropped.
func (l *lane) dropSome(ctx context.Context, seqs []uint64, reason string) (int, error) {
	var marks []store.Mark
	for _, seq := range seqs {
		e, err := l.owned.Load(ctx, seq)
		if errors.Is(err, store.ErrNotFound) || errors.Is(err, store.ErrDamaged) {
			continue
		}
		if err != nil {
			return 0, err
		}
		if m, ok := l.schedule.DropMark(e.Problem, seq, reason); ok {
			marks = append(marks, m)
		}
	}
	if len(marks) == 0 {
		return 0, nil
	}
	return l.drop(ctx, marks)
}

// drop writes marks of the schedule's DropMark, and returns how many took effect.
func (l *lane) drop(ctx context.Context, marks []store.Mark) (int, error) {
	made, err := l.writeMarks(ctx, marks)
	for _, m := range made {
		l.schedule.Drop(m)
	}
	l.count(store.Dead, len(made))
	if err == nil && len(made) == 0 {
		err = store.ErrDamaged
	}
	return len(made), err
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
	_, err = l.drop(ctx, []store.Mark{m})
	return true, err
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
