package relay

import (
	"context"
	"errors"
	"fmt"

	"github.com/guance-relay/guance-relay/guance"
)

// ErrStale: the dead letter's problem has moved on. It was not replayed, as that would show a stale state after a newer one
// (promise 3); it is still a dead letter, to be dropped.
var ErrStale = errors.New("the problem has moved on")

// DeadLetters returns up to limit dead letters of a lane above after, in sequence, with their bodies and reasons. The lane need
// not be configured any more.
func (r *Relay) DeadLetters(ctx context.Context, lane string, after uint64, limit int) ([]Settlement, error) {
	dead, err := r.store.DeadLetters(ctx, lane, after, limit)
	if err != nil {
		return nil, fmt.Errorf("relay: lane %q: reading dead letters: %w", lane, err)
	}
	return dead, nil
}

// Replay has a dead letter tried again, in its old place and with all its attempts. It fails with [ErrStale] if a newer event of the
// problem was accepted since, with [ErrNotFound] if there is no such dead letter, and after Run ended; until Run begins, it waits.
func (r *Relay) Replay(ctx context.Context, lane string, seq uint64) error {
	return r.onLane(ctx, lane, seq, "replaying", replay)
}

// ReplayAll replays the dead letters of a lane whose problems have not moved on, and counts those that have.
func (r *Relay) ReplayAll(ctx context.Context, lane string) (replayed, stale int, err error) {
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
			case !errors.Is(err, ErrNotFound): // somebody else replayed or dropped it
				return replayed, stale, err
			}
		}
	}
}

// Drop deletes a dead letter for good. Its outcome stays in the history. It fails with [ErrNotFound] if there is none, and
// after Run ended; until Run begins, it waits.
func (r *Relay) Drop(ctx context.Context, lane string, seq uint64) error {
	return r.onLane(ctx, lane, seq, "dropping", drop)
}

func (r *Relay) onLane(ctx context.Context, name string, seq uint64, doing string, fn func(context.Context, *lane, uint64) error) error {
	for _, l := range r.lanes {
		if l.name != name {
			continue
		}
		var err error
		// What is begun in the store is finished, whatever becomes of the caller.
		if !l.ask(ctx, func() { err = fn(context.WithoutCancel(ctx), l, seq) }) {
			err = errors.Join(errors.New("the lane does not run"), ctx.Err())
		}
		if err != nil {
			return r.found(fmt.Errorf("relay: lane %q: %s dead letter %d: %w", name, doing, seq, err))
		}
		return nil
	}
	return fmt.Errorf("relay: no lane %q", name)
}

// replay is called by the loop: nothing can be added to the problem between the question and the answer.
func replay(ctx context.Context, l *lane, seq uint64) error {
	dead, err := l.store.DeadLetters(ctx, l.name, seq-1, 1)
	if err != nil {
		return err
	}
	if len(dead) == 0 || dead[0].Seq != seq {
		return ErrNotFound
	}
	e := &dead[0].Entry
	found, err := l.lease.Records(ctx, []string{e.Problem})
	if err != nil {
		return err
	}
	records := map[string]Record{e.Problem: found[0]}
	l.update(records)
	record := records[e.Problem]
	// An event without a state, or of a lane that wants every event, is stale as soon as anything newer was sent. Without a record
	// it is so old that nobody knows what was.
	if l.schedule.knows(e.Problem) || record == (Record{}) || record.Seq > seq || record.Last > seq && e.State != guance.StateNeither {
		return ErrStale
	}
	revived, err := l.lease.Revive(ctx, seq)
	if err != nil {
		return err
	}
	l.schedule.add(revived, record) // supersedes nothing and cancels nothing: the problem is not in the schedule
	return nil
}

func drop(ctx context.Context, l *lane, seq uint64) error { return l.lease.Drop(ctx, seq) }

// ask has the loop run fn, and reports whether it did.
func (l *lane) ask(ctx context.Context, fn func()) bool {
	done := make(chan struct{})
	select {
	case l.questions <- func() { defer close(done); fn() }:
		<-done
		return true
	case <-l.ended:
	case <-ctx.Done():
	}
	return false
}
