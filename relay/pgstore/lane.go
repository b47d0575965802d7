package pgstore

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/guance-relay/guance-relay/guance"
	"github.com/guance-relay/guance-relay/relay/store"
)

// An ownedLane is a lane of a lease. It implements [store.Lane].
type ownedLane struct {
	*lease
	name string
	id   int32
}

// owned returns an error if the store or the lease is not usable. A lease whose time has passed has
// ended, also before its timer says so: a process that was stopped goes on here.
func (l *ownedLane) owned(ctx context.Context) error {
	if err := l.store.usable(ctx); err != nil {
		return err
	}
	l.store.mu.Lock()
	ended := l.ended || time.Until(l.until) <= 0
	l.store.mu.Unlock()
	if ended {
		return l.fenced()
	}
	return nil
}

// read makes a call that changes nothing, if the lease has not ended before or meanwhile. fn
// returns false if the database has another owner.
func (l *ownedLane) read(
	ctx context.Context, fn func(context.Context, *pgx.Conn) (bool, error),
) error {
	if err := l.owned(ctx); err != nil {
		return err
	}
	owner := true
	err := l.store.read(ctx, func(ctx context.Context, c *pgx.Conn) (err error) {
		owner, err = fn(ctx, c)
		return err
	})
	if err == nil && !owner {
		return l.fenced()
	}
	if err == nil {
		return l.owned(context.Background())
	}
	return err
}

// Read implements [store.Lane].
func (l *ownedLane) Read(ctx context.Context, after uint64, limit int) ([]*store.Entry, error) {
	arrival := l.store.arrival(l.id)
	for {
		arrived := arrival.wait()
		var found []*store.Entry
		err := l.read(ctx, func(ctx context.Context, c *pgx.Conn) (owner bool, err error) {
			rows, err := c.Query(ctx, `select l.name, `+columns("e")+` from lanes l
				left join lateral (select * from entries where lane = l.id and seq > $3
					order by seq limit $4) e on true
				where l.id = $1 and l.token = $2 order by e.seq`,
				l.id, l.token, int64(after), limit)
			if err != nil {
				return false, err
			}
			found, owner, err = collectOwned(rows, (*scanner).header)
			return owner, err
		})
		if err != nil {
			return nil, err
		}
		if len(found) > 0 {
			l.store.keptOf(found)
			return found, nil
		}
		select {
		case <-ctx.Done():
		case <-arrived:
		case <-time.After(poll):
		case <-l.lost:
		}
	}
}

// collectOwned reads the rows of a lane. There is one at least if the lease owns it.
func collectOwned[T any](
	rows pgx.Rows, read func(*scanner, pgx.Rows) (T, bool, error),
) (found []T, owner bool, err error) {
	found, err = collect(rows, func(s *scanner, rows pgx.Rows) (T, bool, error) {
		owner = true
		return read(s, rows)
	})
	return found, owner, err
}

// Load implements [store.Lane].
func (l *ownedLane) Load(ctx context.Context, seq uint64) (*store.Entry, error) {
	var found []*store.Entry
	err := l.read(ctx, func(ctx context.Context, c *pgx.Conn) (owner bool, err error) {
		rows, err := c.Query(ctx, `select l.name, `+columns("e")+`, e.body from lanes l
			left join entries e on e.lane = l.id and e.seq = $3 where l.id = $1 and l.token = $2`,
			l.id, l.token, int64(seq))
		if err != nil {
			return false, err
		}
		found, owner, err = collectOwned(rows, (*scanner).whole)
		return owner, err
	})
	if err != nil {
		return nil, err
	}
	if len(found) == 0 {
		return nil, fmt.Errorf("pgstore: lane %q: entry %d: %w", l.name, seq, store.ErrNotFound)
	}
	l.store.keptOf(found)
	return found[0], nil
}

// Records implements [store.Lane].
func (l *ownedLane) Records(ctx context.Context, problems []string) ([]store.Record, error) {
	keys := make([][]byte, len(problems))
	for i, p := range problems {
		keys[i] = []byte(p)
	}
	records := make([]store.Record, len(problems))
	err := l.read(ctx, func(ctx context.Context, c *pgx.Conn) (owner bool, err error) {
		rows, err := c.Query(ctx, `select k.ord, p.last, p.seq, p.open, p.shown, p.doubt, p.time, p.at
			from lanes l
			left join unnest($3::bytea[]) with ordinality k(problem, ord) on true
			left join problems p on p.problem = k.problem and p.lane = l.id
			where l.id = $1 and l.token = $2`, l.id, l.token, keys)
		if err != nil {
			return false, err
		}
		defer rows.Close()
		for rows.Next() {
			owner = true
			var ord, last, seq, when, at *int64
			var open, doubt *bool
			var shown *int32
			if err := rows.Scan(&ord, &last, &seq, &open, &shown, &doubt, &when, &at); err != nil {
				return false, err
			}
			if ord == nil || last == nil {
				continue
			}
			records[*ord-1] = store.Record{
				Last: uint64(*last), Seq: uint64(*seq), Open: *open, Shown: guance.Level(*shown),
				Doubt: *doubt, Time: timeOf(when), At: timeOf(at),
			}
		}
		return owner, rows.Err()
	})
	if err != nil {
		return nil, err
	}
	return records, nil
}
