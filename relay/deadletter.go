package relay

import (
	"context"
	"errors"
	"fmt"

	"github.com/guance-relay/guance-relay/guance"
	"github.com/guance-relay/guance-relay/relay/store"
)

// ErrStale: a newer event of the dead letter's problem was accepted. The dead letter was not
// replayed, as that would show a stale state after a newer one (promise 3). It is still there.
var ErrStale = errors.New("the problem has moved on")

// ErrNoLane: there is no lane of that name. Nothing was changed.
var ErrNoLane = errors.New("no such lane")

// DeadLetters returns up to limit dead letters of a lane with a sequence number above after, by
// sequence number, with bodies and reasons. The lane need not be configured. DeadLetters fails with
// [ErrNoLane] if the lane is neither configured nor has anything in the store.
func (r *Relay) DeadLetters(
	ctx context.Context, lane string, after uint64, limit int,
) ([]store.Settlement, error) {
	dead, err := r.store.DeadLetters(ctx, lane, after, limit)
	if err == nil && len(dead) == 0 && r.findLane(lane) == nil {
		err = r.checkHeld(ctx, lane)
	}
	if err != nil {
		return nil, fmt.Errorf("relay: lane %q: reading dead letters: %w", lane, err)
	}
	return dead, nil
}

// Replay makes a dead letter pending again, in its old place and with no failed attempts. It fails
// with [ErrStale] if a newer event of the problem was accepted since, with [store.ErrNotFound] if
// there is no such dead letter, and with [ErrNoLane] if the lane is not configured. Before Run, it
// waits. After Run, it fails.
func (r *Relay) Replay(ctx context.Context, lane string, seq uint64) error {
	if l := r.findLane(lane); l == nil || l.sink == nil {
		return r.noLane(ctx, lane, fmt.Sprint("replaying dead letter ", seq))
	}
	if r.standsBy(lane) {
		return r.elsewhere(ctx, lane, "replaying dead letter", command{Do: doReplay, Seq: seq})
	}
	return r.onEntry(ctx, lane, seq, "replaying dead letter", replay)
}

// ReplayAll replays the dead letters of a lane. It counts those that it replayed, and those that
// are stale, see [ErrStale]. Otherwise it fails as Replay does.
func (r *Relay) ReplayAll(ctx context.Context, lane string) (replayed, stale int, err error) {
	if l := r.findLane(lane); l == nil || l.sink == nil {
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
			case !errors.Is(err, store.ErrNotFound): // another caller replayed or dropped it
				return replayed, stale, err
			}
		}
	}
}

// Drop deletes a dead letter. Its outcome stays in the history. The lane need not have a sink. It
// fails with [store.ErrNotFound] if there is none, and with [ErrNoLane] if there is no such lane.
// Before Run, it waits. After Run, it fails. [Relay.DropPending] drops what is not dead.
func (r *Relay) Drop(ctx context.Context, lane string, seq uint64) error {
	if r.standsBy(lane) {
		return r.elsewhere(ctx, lane, "dropping dead letter", command{Do: doDrop, Seq: seq})
	}
	return r.onEntry(ctx, lane, seq, "dropping dead letter", drop)
}

// onEntry has the loop of a lane call fn with an entry, see onLane. A change of the store that has
// begun is finished, even if the caller gives up.
func (r *Relay) onEntry(
	ctx context.Context, name string, seq uint64, doing string,
	fn func(context.Context, *lane, uint64) (bool, error),
) error {
	return r.onLane(ctx, name, fmt.Sprint(doing, " ", seq), func(l *lane) (bool, error) {
		return fn(context.WithoutCancel(ctx), l, seq)
	})
}

// onLane has the loop of a lane call fn. fn reports false to be called again, see [call].
func (r *Relay) onLane(
	ctx context.Context, name, doing string, fn func(*lane) (done bool, err error),
) error {
	if r.findLane(name) == nil {
		return r.noLane(ctx, name, doing)
	}
	var err error
	if !r.call(ctx, name, func(l *lane) (done bool) {
		done, err = fn(l)
		return done
	}) {
		err = ctx.Err()
		if err == nil {
			err = errors.New("the lane does not run; nothing was changed")
		}
	}
	if err != nil {
		return r.stopIfFailed(fmt.Errorf("relay: lane %q: %s: %w", name, doing, err))
	}
	return nil
}

// elsewhere has the owner of a lane do something with an entry.
func (r *Relay) elsewhere(ctx context.Context, lane, doing string, c command) error {
	if _, err := r.ask(ctx, lane, c); err != nil {
		return fmt.Errorf("relay: lane %q: %s %d: %w", lane, doing, c.Seq, err)
	}
	return nil
}

// noLane returns the error for a lane that has no sink.
func (r *Relay) noLane(ctx context.Context, name, doing string) error {
	err := r.checkHeld(ctx, name)
	if err == nil {
		err = fmt.Errorf("%w in this program's configuration, and its dead letters are kept in the "+
			"store: add the lane with Handle or SetLane; lanes here are %q", ErrNoLane,
			r.lanes.Load().served)
	}
	return fmt.Errorf("relay: lane %q: %s: %w", name, doing, err)
}

// checkHeld returns nil if the store holds anything of a lane.
func (r *Relay) checkHeld(ctx context.Context, name string) error {
	held, err := r.store.Holdings(ctx)
	if err != nil {
		return err
	}
	if _, ok := held[name]; !ok {
		return fmt.Errorf("%w; lanes here are %q", ErrNoLane, r.lanes.Load().served)
	}
	return nil
}

// replay is called by the loop, so nothing is added to the problem meanwhile. It reports false
// while the outcome of the dead letter is durable and the message is on its way: the schedule still
// holds the entry then.
func replay(ctx context.Context, l *lane, seq uint64) (done bool, err error) {
	dead, err := l.store.DeadLetters(ctx, l.name, seq-1, 1)
	if err != nil {
		return true, err
	}
	if len(dead) == 0 || dead[0].Seq != seq {
		return true, store.ErrNotFound
	}
	e := &dead[0].Entry
	// What is older and pending must be known: an entry that found the lane full, or was dropped, died
	// before it.
	if l.schedule.InFlight(e.Problem, seq) || l.unread > 0 && !l.damaged {
		return false, nil
	}
	read, err := l.owned.Records(ctx, []string{e.Problem})
	if err != nil {
		return true, err
	}
	records := map[string]store.Record{e.Problem: read[0]}
	l.superseded.apply(records)
	record := records[e.Problem]
	// A state is stale once a newer state was begun or settled, any event once a newer one was sent.
	// Without a record, the dead letter is too old to tell.
	// One that died because the lane was full may have been overtaken on its way.
	if l.schedule.Holds(e.Problem) || record == (store.Record{}) || record.Seq > seq ||
		e.State != guance.StateNeither && (record.Last > seq || l.schedule.Late(e, record)) {
		return true, ErrStale
	}
	revived, err := l.owned.Revive(ctx, seq)
	if err != nil {
		return true, err
	}
	l.revived[seq] = true
	l.schedule.Add(revived, record) // returns no marks: the schedule does not hold the problem
	return true, nil
}

func drop(ctx context.Context, l *lane, seq uint64) (done bool, err error) {
	return true, l.owned.Drop(ctx, seq)
}
