package pgstore

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/guance-relay/guance-relay/relay/store"
)

// Rename implements [store.Store]. It writes two names, and moves no entry. A name has 1 to 255
// bytes of valid UTF-8.
func (s *Store) Rename(ctx context.Context, from, to string) error {
	for _, name := range []string{from, to} {
		if err := checkLane(name); err != nil {
			return fmt.Errorf("pgstore: %w; nothing was changed", err)
		}
	}
	var inUse bool
	var ended []int64
	err := s.change(ctx, func(ctx context.Context, c *pgx.Conn) error {
		return c.QueryRow(ctx, "select in_use, ended from rename_lane($1, $2)", from, to).
			Scan(&inUse, &ended)
	}, nil)
	if err != nil {
		return err
	}
	if inUse {
		return fmt.Errorf("pgstore: renaming lane %q to %q: %w", from, to, store.ErrInUse)
	}
	s.mu.Lock()
	for _, token := range ended {
		if l := s.leases[token]; l != nil {
			l.end()
		}
		delete(s.mine, token)
	}
	s.mu.Unlock()
	if len(ended) > 0 {
		s.notices.add(noticeRenamed, 0)
		s.notices.add(noticeFreed, 0)
		s.freed.send()
	}
	return nil
}

// Renamed implements [store.Store].
func (s *Store) Renamed(ctx context.Context) (renamed map[string]string, err error) {
	err = s.read(ctx, func(ctx context.Context, c *pgx.Conn) error {
		rows, err := c.Query(ctx,
			`select n.name, l.name from names n join lanes l on l.id = n.lane where n.name <> l.name`)
		if err != nil {
			return err
		}
		renamed = make(map[string]string)
		var from, to string
		_, err = pgx.ForEachRow(rows, []any{&from, &to}, func() error {
			renamed[from] = to
			return nil
		})
		return err
	})
	if err != nil {
		return nil, err
	}
	return renamed, nil
}
