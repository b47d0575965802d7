package relay

import (
	"context"
	"errors"
	"fmt"

	"github.com/guance-relay/guance-relay/guance"
	"github.com/guance-relay/guance-relay/relay/store"
)

// readAhead is how many entries are read from the store at once.
const readAhead = 1000

// read hands what the store has to the loop.
func (l *lane) read(ctx context.Context, arrivals chan<- []*store.Entry) {
	var after uint64
	for {
		entries, err := l.owned.Read(ctx, after, readAhead)
		if ctx.Err() != nil {
			return
		}
		if damaged, ok := errors.AsType[*store.DamagedError](err); ok {
			l.log.Error("relay: entries cannot be read; they are kept, and the others go on", "first", damaged.First, "last", damaged.Last, "error", err.Error())
			after = damaged.Last
			continue
		}
		if err != nil {
			select {
			case l.reports <- report{err: fmt.Errorf("reading its entries: %w", err)}:
			case <-ctx.Done():
			}
			return
		}
		after = entries[len(entries)-1].Seq
		select {
		case arrivals <- entries:
		case <-ctx.Done():
			return
		}
	}
}

// arrived adds entries to the schedule and records what they supersede.
func (l *lane) arrived(ctx context.Context, entries []*store.Entry) error {
	records, err := l.records(ctx, entries)
	if err != nil {
		return err
	}
	for _, e := range entries {
		record := records[e.Problem]
		if e.Begun && e.State == guance.StateProblem && !l.opts.Every {
			record.Doubt = true // an earlier owner sent it, perhaps, and nobody knows the answer
		}
		superseded, over := l.schedule.add(e, record)
		if over != nil {
			l.sayNoMore(ctx, *over, e.Problem)
		}
		for _, m := range superseded {
			records[e.Problem] = records[e.Problem].Apply(m)
		}
		l.superseded = append(l.superseded, superseded...)
	}
	l.unread = max(l.unread-len(entries), 0)
	l.record(ctx)
	return nil
}

// sayNoMore ends a recovery that the target took, and that a newer event keeps from being sent once more. The problem stays in doubt.
func (l *lane) sayNoMore(ctx context.Context, t ticket, problem string) {
	l.inFlight++
	l.end(ctx, report{ticket: t, entry: &store.Entry{Lane: l.name, Seq: t.item.seq, Problem: problem, State: guance.StateRecovered}},
		t.item.mark(problem, store.Delivered, ""))
}

// inbox returns arrivals, unless the disk does not keep up with what they supersede.
func (l *lane) inbox(arrivals <-chan []*store.Entry) <-chan []*store.Entry {
	if len(l.superseded) >= readAhead {
		return nil
	}
	return arrivals
}

// record makes what was superseded durable, one commit after the other. The loop does not wait for it: an entry that a crash brings back is
// superseded again, by the entry that took its place or, if that has been sent, by its record.
func (l *lane) record(ctx context.Context) {
	if len(l.recording) > 0 || len(l.superseded) == 0 {
		return
	}
	marks := l.superseded
	l.superseded, l.recording = nil, marks
	l.wg.Go(func() {
		// Not cut short by a shutdown: the schedule has already forgotten these entries, the store must follow.
		made, err := l.mark(context.WithoutCancel(ctx), marks)
		l.report(report{marks: append([]store.Mark{}, made...), err: err})
	})
}

// records returns what the store remembers, or soon will, of the problems that the schedule does not hold.
func (l *lane) records(ctx context.Context, entries []*store.Entry) (map[string]store.Record, error) {
	records := make(map[string]store.Record)
	var unknown []string
	for _, e := range entries {
		if _, asked := records[e.Problem]; !asked && !l.schedule.knows(e.Problem) {
			records[e.Problem] = store.Record{}
			unknown = append(unknown, e.Problem)
		}
	}
	if len(unknown) == 0 {
		return records, nil
	}
	found, err := l.owned.Records(ctx, unknown)
	if ofOneEntry(err) {
		err = l.recordsApart(ctx, records)
	} else if err == nil {
		for i, key := range unknown {
			records[key] = found[i]
		}
	}
	l.update(records)
	return records, err
}

// update adds to records what is on its way to the store.
func (l *lane) update(records map[string]store.Record) {
	for _, marks := range [][]store.Mark{l.recording, l.superseded} {
		for _, m := range marks {
			if r, wanted := records[m.Problem]; wanted {
				records[m.Problem] = r.Apply(m)
			}
		}
	}
}

// recordsApart asks for the record of each problem by itself. Where it cannot be read something may be open.
func (l *lane) recordsApart(ctx context.Context, records map[string]store.Record) error {
	for key := range records {
		found, err := l.owned.Records(ctx, []string{key})
		switch {
		case err == nil:
			records[key] = found[0]
		case ofOneEntry(err):
			l.log.Error("relay: what was sent of a problem cannot be read; its next event is sent whatever it was", "error", err.Error())
			records[key] = store.Record{Open: true}
		default:
			return err
		}
	}
	return nil
}
