package boltstore

import (
	"context"
	"fmt"
	"slices"

	"github.com/guance-relay/guance-relay/relay/store"
)

// Mark implements [store.Lane].
func (l *ownedLane) Mark(ctx context.Context, marks []store.Mark) error {
	for i := range marks {
		if n := len(marks[i].Problem); n > maxProblem {
			return fmt.Errorf("boltstore: a problem key has %d bytes; at most %d are allowed; "+
				"nothing was marked", n, maxProblem)
		}
	}
	return l.store.submit(ctx, &markOp{ownerOp{lane: l}, marks})
}

// A markOp makes the marks of one call.
type markOp struct {
	ownerOp
	marks []store.Mark
}

func (op *markOp) write(c *commit) error {
	l, err := c.lane(op.lane.name)
	if err != nil || l == nil {
		return err
	}
	for i := range op.marks {
		if err := l.apply(&op.marks[i]); err != nil {
			return err
		}
	}
	return nil
}

// apply makes a mark. It does nothing if the entry is not pending.
func (l *laneTx) apply(m *store.Mark) error {
	s, err := l.segment(m.Seq)
	if err != nil || s == nil {
		return err
	}
	p := s.pending(m.Seq)
	if p == nil {
		return nil
	}
	if err := l.updateRecord(m); err != nil {
		return err
	}
	l.written++
	l.commit.changed, s.changed = true, true
	if m.Outcome == 0 {
		p.state = begun(m.Failed)
		return nil
	}
	e, err := l.entry(s, m.Seq)
	if err != nil {
		return err
	}
	now, header := l.commit.now, slices.Clone(e.header)
	ended := settlement{
		m.Seq, m.Outcome, m.At, e.kept, now, header, m.Reason, p.kind&sticky != 0,
	}
	if err := l.addSettlement(ended); err != nil {
		return err
	}
	if m.Outcome == store.Dead {
		if err := l.addDeadLetter(ended, slices.Clone(e.body)); err != nil {
			return err
		}
	}
	l.countPending(p, -1)
	p.state = settled
	return nil
}
