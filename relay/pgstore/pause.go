package pgstore

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/guance-relay/guance-relay/relay/store"
)

// SetPause implements [store.Lane].
func (l *ownedLane) SetPause(ctx context.Context, p store.Pause) error {
	return l.store.submit(ctx, &request{operation: &pauseOp{ownerOp: ownerOp{lane: l}, pause: p}})
}

// Pause implements [store.Lane].
func (l *ownedLane) Pause(ctx context.Context) (p store.Pause, err error) {
	err = l.read(ctx, func(ctx context.Context, c *pgx.Conn) (owner bool, err error) {
		rows, err := c.Query(ctx, `select p.until, p.by, p.reason, p.at
			from lanes l left join pauses p on p.lane = l.id where l.id = $1 and l.token = $2`,
			l.id, l.token)
		if err != nil {
			return false, err
		}
		var until, at *int64
		var by, reason []byte
		_, err = pgx.ForEachRow(rows, []any{&until, &by, &reason, &at}, func() error {
			owner, p = true, store.Pause{}
			if until != nil {
				p = store.Pause{
					Until: time.Duration(*until), By: string(by), Reason: string(reason), At: timeOf(at),
				}
			}
			return nil
		})
		return owner, err
	})
	return p, err
}

// A pauseOp keeps a pause.
type pauseOp struct {
	ownerOp
	pause store.Pause
}

func (op *pauseOp) queue(b *pgx.Batch) {
	l := op.lane
	op.sent = time.Now()
	var until *int64 // null: there is no pause
	if op.pause != (store.Pause{}) {
		until = new(int64(op.pause.Until))
	}
	b.Queue(`select set_pause($1, $2, $3, $4, $5, $6, $7)`, l.id, l.token,
		int64(l.store.clock.now()), until, []byte(op.pause.By), []byte(op.pause.Reason),
		nanos(op.pause.At))
}
