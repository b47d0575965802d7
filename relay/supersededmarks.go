package relay

import (
	"context"
	"time"

	"github.com/guance-relay/guance-relay/relay/store"
)

// supersededMarks are marks of entries that were superseded or ignored when they were read, and
// that are not durable yet. The loop does not wait for them: an entry that a crash brings back ends
// in the same way again. They are written in batches, one at a time.
type supersededMarks struct{ batch, waiting []store.Mark }

// writing reports whether a batch is being written.
func (s *supersededMarks) writing() bool { return len(s.batch) > 0 }

// full reports whether so many marks wait that no entries should be read.
func (s *supersededMarks) full() bool { return len(s.waiting) >= readAhead }

// apply adds the marks to records that were read from the store.
func (s *supersededMarks) apply(records map[string]store.Record) {
	for _, marks := range [][]store.Mark{s.batch, s.waiting} {
		for _, m := range marks {
			if r, wanted := records[m.Problem]; wanted {
				records[m.Problem] = r.Apply(m)
			}
		}
	}
}

// writeSuperseded starts to write the next batch, if there is one and no other is being written.
func (l *lane) writeSuperseded(ctx context.Context) {
	s := &l.superseded
	if s.writing() || len(s.waiting) == 0 {
		return
	}
	marks := s.waiting
	s.batch, s.waiting = marks, nil
	l.wg.Go(func() {
		// A stop does not cut this: the schedule holds these entries no longer.
		made, err := l.writeMarks(context.WithoutCancel(ctx), marks)
		l.post(batchWritten{made, err})
	})
}

// batchWritten: these marks of the batch are durable.
type batchWritten struct {
	made []store.Mark
	err  error
}

func (m batchWritten) apply(ctx context.Context, l *lane, _ time.Time) error {
	l.superseded.batch = nil
	for _, mark := range m.made {
		l.count(mark.Outcome, 1)
	}
	l.writeSuperseded(ctx)
	return m.err
}
