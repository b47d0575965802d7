package relay

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/guance-relay/guance-relay/guance"
	"github.com/guance-relay/guance-relay/relay/internal/schedule"
	"github.com/guance-relay/guance-relay/relay/store"
)

// readAhead is how many entries are read from the store at once.
const readAhead = 1000

// An arrival is what was read from the store at once.
type arrival struct {
	entries []*store.Entry
	ignored map[uint64]string // why the sink ignores a sticky entry, by sequence number
}

// read reads the lane's entries from the store and sends them to the loop, until ctx ends.
func (l *lane) read(ctx context.Context, arrivals chan<- arrival) {
	var after uint64
	for {
		entries, err := l.owned.Read(ctx, after, readAhead)
		if ctx.Err() != nil {
			return
		}
		if damaged, ok := errors.AsType[*store.DamagedError](err); ok {
			l.log.Error("relay: entries cannot be read; they are kept, and the others are delivered",
				"first", damaged.First, "last", damaged.Last, "error", err.Error())
			after = damaged.Last
			select {
			case l.messages <- readDamaged{}:
			case <-ctx.Done():
			}
			continue
		}
		if err != nil {
			select {
			case l.messages <- readFailed{err}:
			case <-ctx.Done():
			}
			return
		}
		after = entries[len(entries)-1].Seq
		select {
		case arrivals <- arrival{entries, l.examine(ctx, entries)}:
		case <-ctx.Done():
			return
		}
	}
}

// examine decides what could not be decided when a sticky entry was accepted, because only the
// store knows which lanes hold a problem. It returns why the sink ignores entries, by sequence
// number. The bodies of an Issue or Incident carry no tags that a Match could look at, so that the
// lane that has the problem wants them: such an entry is no longer sticky.
func (l *lane) examine(ctx context.Context, entries []*store.Entry) map[uint64]string {
	ignored := make(map[uint64]string)
	for _, e := range entries {
		if !e.Sticky || e.Begun {
			continue
		}
		stored, err := l.owned.Load(ctx, e.Seq)
		if err != nil {
			continue // its attempt meets the error too, and deals with it
		}
		events, err := guance.Decode(stored.Body, "application/json")
		if err != nil || len(events) != 1 {
			continue // likewise
		}
		if reason := l.ignores(events[0]); reason != "" {
			ignored[e.Seq] = reason
		}
		e.Sticky = !follows(events[0])
	}
	return ignored
}

// readDamaged: some of the lane's entries cannot be read, so not all of the backlog will be.
type readDamaged struct{}

func (readDamaged) apply(_ context.Context, l *lane, _ time.Time) error {
	l.damaged = true
	l.performAgain()
	return nil
}

// readFailed: the lane's entries cannot be read.
type readFailed struct{ err error }

func (m readFailed) apply(context.Context, *lane, time.Time) error {
	return fmt.Errorf("reading its entries: %w", m.err)
}

// arrived adds entries to the schedule and writes what they supersede.
func (l *lane) arrived(ctx context.Context, a arrival) error {
	records, err := l.records(ctx, a.entries)
	if err != nil {
		return err
	}
	for _, e := range a.entries {
		if l.revived[e.Seq] {
			continue
		}
		if reason, ignored := a.ignored[e.Seq]; ignored {
			l.superseded.waiting = append(l.superseded.waiting, store.Mark{
				Seq: e.Seq, Problem: e.Problem, Level: e.Level, Outcome: store.Ignored, Reason: reason,
			})
			continue
		}
		record := records[e.Problem]
		if e.Begun && e.State == guance.StateProblem && !l.opts.EveryEvent {
			record.Doubt = true // an earlier owner may have sent it, and the answer is not known
		}
		marks, cancelled := l.schedule.Add(e, record)
		if cancelled != nil {
			l.endCancelled(ctx, *cancelled, e.Problem)
		}
		for _, m := range marks {
			records[e.Problem] = records[e.Problem].Apply(m)
		}
		l.superseded.waiting = append(l.superseded.waiting, marks...)
	}
	if l.unread = max(l.unread-len(a.entries), 0); l.unread == 0 {
		l.performAgain()
	}
	l.writeSuperseded(ctx)
	return nil
}

// endCancelled ends a delivered recovery that a newer event keeps from being sent a second time.
// The problem stays in doubt.
func (l *lane) endCancelled(ctx context.Context, t schedule.Ticket, problem string) {
	l.inFlight++
	e := &store.Entry{Lane: l.name, Seq: t.Seq(), Problem: problem, State: guance.StateRecovered}
	l.end(ctx, &attempt{ticket: t, entry: e}, t.Mark(problem, store.Delivered, ""))
}

// records returns the records of the problems that the schedule does not hold, or may not hold
// after a sticky entry: such an entry can end all that waits and itself. They have the marks that
// are being written.
func (l *lane) records(
	ctx context.Context, entries []*store.Entry,
) (records map[string]store.Record, err error) {
	records = make(map[string]store.Record)
	var unknown []string
	for _, e := range entries {
		if _, added := records[e.Problem]; !added && (e.Sticky || !l.schedule.Holds(e.Problem)) {
			records[e.Problem] = store.Record{}
			unknown = append(unknown, e.Problem)
		}
	}
	if len(unknown) == 0 {
		return records, nil
	}
	read, err := l.owned.Records(ctx, unknown)
	if ofOneEntry(err) {
		err = l.recordsOneByOne(ctx, records)
	} else if err == nil {
		for i, key := range unknown {
			records[key] = read[i]
		}
	}
	l.superseded.apply(records)
	return records, err
}

// recordsOneByOne reads the record of each problem by itself. If one cannot be read, the target may
// show the problem.
func (l *lane) recordsOneByOne(ctx context.Context, records map[string]store.Record) error {
	for key := range records {
		read, err := l.owned.Records(ctx, []string{key})
		switch {
		case err == nil:
			records[key] = read[0]
		case ofOneEntry(err):
			l.log.Error("relay: the record of a problem cannot be read; its next event is sent in any case",
				"error", err.Error())
			records[key] = store.Record{Open: true}
		default:
			return err
		}
	}
	return nil
}
