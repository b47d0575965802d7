package pgstore

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/guance-relay/guance-relay/relay/store"
)

// DeadLetters implements [store.Store].
func (s *Store) DeadLetters(ctx context.Context, lane string, after uint64, limit int) (
	found []store.Settlement, err error,
) {
	err = s.read(ctx, func(ctx context.Context, c *pgx.Conn) error {
		rows, err := c.Query(ctx, `select l.name, `+columns("d")+`, 4, d.reason, d.at, d.body
			from names n join lanes l on l.id = n.lane join dead d on d.lane = l.id
			where n.name = $1 and d.seq > $2 order by d.seq limit $3`, text(lane), int64(after), limit)
		if err == nil {
			found, err = collect(rows, (*scanner).letter)
		}
		return err
	})
	s.keptOfSettled(found)
	return found, err
}

// Drop implements [store.Lane]. After a [store.ErrUnavailable] the lease has ended.
func (l *ownedLane) Drop(ctx context.Context, seq uint64) error {
	_, err := l.takeDead(ctx, seq, false)
	return err
}

// Revive implements [store.Lane]. After a [store.ErrUnavailable] the lease has ended.
func (l *ownedLane) Revive(ctx context.Context, seq uint64) (*store.Entry, error) {
	return l.takeDead(ctx, seq, true)
}

func (l *ownedLane) takeDead(ctx context.Context, seq uint64, revive bool) (*store.Entry, error) {
	op := &deadOp{ownerOp: ownerOp{lane: l}, seq: seq, revive: revive}
	err := l.store.submit(ctx, &request{operation: op})
	l.uncertain(err)
	if err != nil {
		return nil, err
	}
	return op.revived, nil
}

// A deadOp deletes a dead letter, and makes it pending again if revive is set.
type deadOp struct {
	ownerOp
	seq    uint64
	revive bool

	status  *bool
	revived *store.Entry
}

func (op *deadOp) queue(b *pgx.Batch) {
	l := op.lane
	op.sent = time.Now()
	b.Queue(`select status, clock from take_dead($1, $2, $3, $4, $5)`, l.id, l.token,
		int64(l.store.clock.now()), int64(op.seq), op.revive)
	if op.revive {
		b.Queue(`select l.name, `+columns("e")+` from lanes l left join entries e
			on e.lane = l.id and e.seq = $2 where l.id = $1`, l.id, int64(op.seq))
	}
}

func (op *deadOp) scan(results pgx.BatchResults) error {
	op.status, op.revived = nil, nil
	if err := results.QueryRow().Scan(&op.status, &op.now); err != nil || !op.revive {
		return err
	}
	rows, err := results.Query()
	if err != nil {
		return err
	}
	found, err := collect(rows, (*scanner).header)
	if len(found) == 1 {
		op.revived = found[0]
	}
	return err
}

func (op *deadOp) committed() error {
	l := op.lane
	switch {
	case op.status == nil:
		return l.fenced()
	case !*op.status:
		return fmt.Errorf("pgstore: lane %q: dead letter %d: %w", l.name, op.seq, store.ErrNotFound)
	}
	l.store.clock.observe(time.Duration(*op.now), op.sent)
	if op.revive {
		l.store.clock.reached(op.revived.Kept)
		l.store.arrived(l.id)
	}
	return nil
}
