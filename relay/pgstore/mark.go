package pgstore

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/guance-relay/guance-relay/relay/store"
)

// Mark implements [store.Lane]. After a [store.ErrUnavailable] the lease has ended.
func (l *ownedLane) Mark(ctx context.Context, marks []store.Mark) error {
	for i := range marks {
		if n := len(marks[i].Problem); n > maxProblem {
			return fmt.Errorf("pgstore: a problem key has %d bytes; at most %d are allowed; "+
				"nothing was marked", n, maxProblem)
		}
	}
	op := &markOp{ownerOp: ownerOp{lane: l}}
	op.encode(marks)
	err := l.store.submit(ctx, &request{operation: op})
	l.uncertain(err)
	return err
}

// A markOp makes the marks of one call.
type markOp struct {
	ownerOp
	args []any // without lane, token and clock
}

const markSQL = `select mark_entries($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)`

func (op *markOp) encode(marks []store.Mark) {
	n := len(marks)
	seqs, problems := make([]int64, n), make([][]byte, n)
	states, levels, failed := make([]int32, n), make([]int32, n), make([]int32, n)
	times, at := make([]*int64, n), make([]*int64, n)
	doubts, outcomes, reasons := make([]bool, n), make([]int32, n), make([][]byte, n)
	for i, m := range marks {
		seqs[i], problems[i] = int64(m.Seq), []byte(m.Problem)
		states[i], levels[i], failed[i] = int32(m.State), int32(m.Level), int32(m.Failed)
		times[i], at[i] = nanos(m.Time), nanos(m.At)
		doubts[i], outcomes[i], reasons[i] = m.Doubt, int32(m.Outcome), []byte(m.Reason)
	}
	op.args = []any{seqs, problems, states, levels, times, failed, doubts, outcomes, reasons, at}
}

func (op *markOp) queue(b *pgx.Batch) {
	l := op.lane
	op.sent = time.Now()
	b.Queue(markSQL, append([]any{l.id, l.token, int64(l.store.clock.now())}, op.args...)...)
}

// An ownerOp is embedded in operations of a lane's owner. Its result is the store's time.
type ownerOp struct {
	lane *ownedLane
	sent time.Time
	now  *int64 // null: the lease has ended
}

func (op *ownerOp) ready() error { return op.lane.owned(context.Background()) }
func (op *ownerOp) where() int32 { return op.lane.id }

func (op *ownerOp) scan(results pgx.BatchResults) error {
	op.now = nil
	return results.QueryRow().Scan(&op.now)
}

func (op *ownerOp) committed() error {
	if op.now == nil {
		return op.lane.fenced()
	}
	op.lane.store.clock.observe(time.Duration(*op.now), op.sent)
	return nil
}
