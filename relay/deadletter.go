package relay

import (
	"context"
	"errors"
	"fmt"

	"github.com/guance-relay/guance-relay/guance"
	"github.com/guance-relay/guance-relay/relay/store"
)

// ErrStale: the dead letter's problem has moved on. It was not replayed, as that would show a stale state after a newer one
// (promise 3); it is still a dead letter, to be dropped.
var ErrStale = errors.New("the problem has moved on")

// ErrNoLane: there is no lane of that name. Nothing was changed.
var ErrNoLane = errors.New("no such lane")

// DeadLetters returns up to limit dead letters of a lane above after, in sequence, with their bodies and reasons. The lane need
// not be configured any more. It fails with [ErrNoLane] if the lane is neither configured nor has anything in the store.
func (r *Relay) DeadLetters(ctx context.Context, lane string, after uint64, limit int) ([]store.Settlement, error) {
	dead, err := r.store.DeadLetters(ctx, lane, after, limit)
	if err == nil && len(dead) == 0 && r.lane(lane) == nil {
		err = r.stray(ctx, lane)
	}
	if err != nil {
		return nil, fmt.Errorf("relay: lane %q: reading dead letters: %w", lane, err)
	}
	return dead, nil
}

// Replay has a dead letter tried again, in its old place and with all its attempts. It fails with [ErrStale] if a newer event of the
// problem was accepted since, with [ErrNotFound] if there is no such dead letter, with [ErrNoLane] if the lane is not configured, and after
// Run ended; until Run begins, it waits.
func (r *Relay) Replay(ctx context.Context, lane string, seq uint64) error {
	return r.onLane(ctx, lane, seq, "replaying", replay)
}

// ReplayAll replays the dead letters of a lane whose problems have not moved on, and counts those that have. It fails as Replay does.
func (r *Relay) ReplayAll(ctx context.Context, lane string) (replayed, stale int, err error) {
	if r.lane(lane) == nil {
		return 0, 0, r.noLane(ctx, lane, "replaying dead letters")
	}
	for after := uint64(0); ; {
		dead, err := r.DeadLetters(ctx, lane, after, readAhead)
		if err != nil || len(dead) == 0 {
			return replayed, stale, err
		}
		for _, d := range dead {
			after = d.Seq
			switch err := r.Replay(ctx, lane, d.Seq); {
			case err == nil:
				replayed++
			case errors.Is(err, ErrStale):
				stale++
			case !errors.Is(err, store.ErrNotFound): // somebody else replayed or dropped it
				return replayed, stale, err
			}
		}
	}
}

// Drop deletes a dead letter for good. Its outcome stays in the history. It fails with [ErrNotFound] if there is none, with [ErrNoLane]
// if the lane is not configured, and after Run ended; until Run begins, it waits.
func (r *Relay) Drop(ctx context.Context, lane string, seq uint64) error {
	return r.onLane(ctx, lane, seq, "dropping", drop)
}

// onLane has the loop of a lane do something to a dead letter. fn reports false if it cannot tell yet, see [question].
func (r *Relay) onLane(ctx context.Context, name string, seq uint64, doing string, fn func(context.Context, *lane, uint64) (bool, error)) error {
	doing = fmt.Sprintf("%s dead letter %d", doing, seq)
	l := r.lane(name)
	if l == nil {
		return r.noLane(ctx, name, doing)
	}
	var err error
	// What is begun in the store is finished, whatever becomes of the caller.
	if !l.ask(ctx, func() (told bool) { told, err = fn(context.WithoutCancel(ctx), l, seq); return told }) {
		err = ctx.Err()
		if err == nil {
			err = errors.New("the lane does not run; nothing was changed")
		}
	}
	if err != nil {
		return r.found(fmt.Errorf("relay: lane %q: %s: %w", name, doing, err))
	}
	return nil
}

// lane returns the lane of a name, or nil.
func (r *Relay) lane(name string) *lane {
	for _, l := range r.lanes {
		if l.name == name {
			return l
		}
	}
	return nil
}

// noLane says why nothing can be done for a lane that is not configured.
func (r *Relay) noLane(ctx context.Context, name, doing string) error {
	err := r.stray(ctx, name)
	if err == nil {
		err = fmt.Errorf("%w in this program's configuration, and its dead letters are kept in the store: add the lane with Handle, and start again; lanes here are %q",
			ErrNoLane, r.laneNames())
	}
	return fmt.Errorf("relay: lane %q: %s: %w", name, doing, err)
}

// stray returns nil if the store holds anything of a lane that is not configured.
func (r *Relay) stray(ctx context.Context, name string) error {
	held, err := r.store.Holdings(ctx)
	if err != nil {
		return err
	}
	if _, ok := held[name]; !ok {
		return fmt.Errorf("%w; lanes here are %q", ErrNoLane, r.laneNames())
	}
	return nil
}

func (r *Relay) laneNames() []string {
	names := make([]string, len(r.lanes))
	for i, l := range r.lanes {
		names[i] = l.name
	}
	return names
}

// replay is called by the loop: nothing can be added to the problem between the question and the answer. It cannot tell while the dead letter's
// outcome is durable and the loop has not heard of it: then the schedule still holds the entry as in flight.
func replay(ctx context.Context, l *lane, seq uint64) (told bool, err error) {
	dead, err := l.store.DeadLetters(ctx, l.name, seq-1, 1)
	if err != nil {
		return true, err
	}
	if len(dead) == 0 || dead[0].Seq != seq {
		return true, store.ErrNotFound
	}
	e := &dead[0].Entry
	if p := l.schedule.problems.find(idOf(e.Problem)); p != nil && p.stage == inFlight && p.first.seq == seq {
		return false, nil
	}
	found, err := l.owned.Records(ctx, []string{e.Problem})
	if err != nil {
		return true, err
	}
	records := map[string]store.Record{e.Problem: found[0]}
	l.update(records)
	record := records[e.Problem]
	// An event without a state, or of a lane that wants every event, is stale as soon as anything newer was sent. Without a record
	// it is so old that nobody knows what was.
	if l.schedule.knows(e.Problem) || record == (store.Record{}) || record.Seq > seq || record.Last > seq && e.State != guance.StateNeither {
		return true, ErrStale
	}
	revived, err := l.owned.Revive(ctx, seq)
	if err != nil {
		return true, err
	}
	l.schedule.add(revived, record) // supersedes nothing and cancels nothing: the problem is not in the schedule
	return true, nil
}

func drop(ctx context.Context, l *lane, seq uint64) (told bool, err error) {
	return true, l.owned.Drop(ctx, seq)
}
