package pgstore

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/guance-relay/guance-relay/guance"
	"github.com/guance-relay/guance-relay/relay/internal/storemetrics"
	"github.com/guance-relay/guance-relay/relay/store"
)

// Check implements [store.Store].
func (s *Store) Check(ctx context.Context) error {
	var pending, bytes int64
	err := s.read(ctx, func(ctx context.Context, c *pgx.Conn) error {
		return c.QueryRow(ctx, `select coalesce(sum(pending), 0), coalesce(sum(bytes), 0) from lanes`).
			Scan(&pending, &bytes)
	})
	switch {
	case err != nil:
		return err
	case pending >= int64(s.opts.MaxEntries):
		return fmt.Errorf("pgstore: %d entries are pending; at most %d are allowed: %w", pending,
			s.opts.MaxEntries, store.ErrFull)
	case bytes >= s.opts.MaxBytes:
		return fmt.Errorf("pgstore: %d bytes are pending; at most %d are allowed: %w", bytes,
			s.opts.MaxBytes, store.ErrFull)
	}
	return nil
}

// Holdings implements [store.Store].
func (s *Store) Holdings(ctx context.Context) (holdings map[string]store.Holdings, err error) {
	err = s.read(ctx, func(ctx context.Context, c *pgx.Conn) error {
		rows, err := c.Query(ctx,
			`select name, pending, dead from lanes where pending > 0 or dead > 0`)
		if err != nil {
			return err
		}
		holdings = make(map[string]store.Holdings)
		var name string
		var h store.Holdings
		_, err = pgx.ForEachRow(rows, []any{&name, &h.Pending, &h.Dead}, func() error {
			holdings[name] = h
			return nil
		})
		return err
	})
	if err != nil {
		return nil, err
	}
	return holdings, nil
}

// usage returns what the store holds, for the metrics.
func (s *Store) usage(ctx context.Context) (u storemetrics.Usage, err error) {
	u.MaxEntries, u.MaxBytes = int64(s.opts.MaxEntries), s.opts.MaxBytes
	err = s.read(ctx, func(ctx context.Context, c *pgx.Conn) error {
		return c.QueryRow(ctx,
			`select coalesce(sum(pending), 0)::bigint, coalesce(sum(bytes), 0)::bigint from lanes`,
		).Scan(&u.Entries, &u.Bytes)
	})
	return u, err
}

// History implements [store.Store]. It reads the whole history of the lane, which is fast enough
// for a person. An entry that was revived has a settlement for each time it ended.
func (s *Store) History(ctx context.Context, lane, problem string) (
	found []store.Settlement, err error,
) {
	err = s.read(ctx, func(ctx context.Context, c *pgx.Conn) error {
		rows, err := c.Query(ctx, `select l.name, `+columns("h")+`, h.outcome, h.reason, h.at
			from names n join lanes l on l.id = n.lane join history h on h.lane = l.id
			where n.name = $1 and h.problem = $2 and h.n > l.ended - $3 order by h.seq, h.n`,
			text(lane), []byte(problem), int64(s.opts.History))
		if err == nil {
			found, err = collect(rows, (*scanner).settlement)
		}
		return err
	})
	s.keptOfSettled(found)
	return found, err
}

// OpenProblems implements [store.Store], by problem key.
func (s *Store) OpenProblems(ctx context.Context, lane, from string, limit int) (
	open []store.OpenProblem, next string, err error,
) {
	err = s.read(ctx, func(ctx context.Context, c *pgx.Conn) error {
		rows, err := c.Query(ctx, `select p.problem, p.last, p.seq, p.shown, p.doubt, p.time, p.at
			from problems p
			where p.lane = (select lane from names where name = $1) and p.open and p.problem >= $2
			order by p.problem limit $3`, text(lane), []byte(from), int64(limit)+1)
		if err != nil {
			return err
		}
		open, next = nil, ""
		var problem []byte
		var last, seq int64
		var shown int32
		var doubt bool
		var when, at *int64
		_, err = pgx.ForEachRow(rows, []any{&problem, &last, &seq, &shown, &doubt, &when, &at},
			func() error {
				if len(open) == limit {
					next = string(problem)
					return nil
				}
				open = append(open, store.OpenProblem{Problem: string(problem), Record: store.Record{
					Last: uint64(last), Seq: uint64(seq), Open: true, Shown: guance.Level(shown),
					Doubt: doubt, Time: timeOf(when), At: timeOf(at),
				}})
				return nil
			})
		return err
	})
	if err != nil {
		return nil, "", err
	}
	return open, next, nil
}

// keptOf has the clock reach the times at which entries were kept, by whichever node.
func (s *Store) keptOf(found []*store.Entry) {
	var last time.Duration
	for _, e := range found {
		last = max(last, e.Kept)
	}
	s.clock.reached(last)
}

// keptOfSettled is keptOf for settlements.
func (s *Store) keptOfSettled(found []store.Settlement) {
	var last time.Duration
	for _, st := range found {
		last = max(last, st.Kept)
	}
	s.clock.reached(last)
}

// Pending implements [store.Cluster].
func (s *Store) Pending(ctx context.Context, lane, problem string) (
	found []*store.Entry, err error,
) {
	err = s.read(ctx, func(ctx context.Context, c *pgx.Conn) error {
		rows, err := c.Query(ctx, `select l.name, `+columns("e")+`
			from names n join lanes l on l.id = n.lane join entries e on e.lane = l.id
			where n.name = $1 and e.problem = $2 order by e.seq`, text(lane), []byte(problem))
		if err == nil {
			found, err = collect(rows, (*scanner).header)
		}
		return err
	})
	s.keptOf(found)
	return found, err
}

// Owners implements [store.Cluster].
func (s *Store) Owners(ctx context.Context) (owners map[string]store.Owner, err error) {
	err = s.read(ctx, func(ctx context.Context, c *pgx.Conn) error {
		rows, err := c.Query(ctx, `select l.name, o.node, f.figures, x.now - f.seen
			from lanes l join leases o on o.token = l.token
			left join figures f on f.lane = l.id and f.token = l.token
			cross join (select greatest(store_clock(), $1) as now) x
			where o.until > x.now`, int64(s.clock.now()))
		if err != nil {
			return err
		}
		owners = make(map[string]store.Owner)
		var name, node string
		var figures []byte
		var age *int64
		_, err = pgx.ForEachRow(rows, []any{&name, &node, &figures, &age}, func() error {
			o := store.Owner{Node: node, Figures: append([]byte(nil), figures...)}
			if age != nil {
				o.At = time.Now().Add(-time.Duration(*age))
			}
			owners[name] = o
			return nil
		})
		return err
	})
	if err != nil {
		return nil, err
	}
	return owners, nil
}
