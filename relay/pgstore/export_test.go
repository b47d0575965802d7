package pgstore

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/guance-relay/guance-relay/relay/store"
)

// Unexpire has a lease that has ended go on in this process, as in one whose clock stands still.
func Unexpire(l store.Lease) {
	own := l.(*lease)
	own.store.mu.Lock()
	defer own.store.mu.Unlock()
	own.ended, own.until, own.lost = false, time.Now().Add(time.Hour), make(chan struct{})
}

// Connect has the committer of a store connect, if its connection is broken.
func Connect(s *Store) error {
	var err error
	for range 2 { // the first call finds a broken connection
		if err = s.use(context.Background(), s.commits, func(ctx context.Context, c *pgx.Conn) error {
			return c.Ping(ctx)
		}); err == nil {
			break
		}
	}
	return err
}

// AcceptUnsafe has Open accept a server without fsync, or not.
func AcceptUnsafe(accept bool) { unsafeForTests = accept }

// Expire goes once through all lanes and counts, as if the store were as much older. It does so
// until there is nothing more to delete.
func Expire(s *Store, older time.Duration) error {
	err := s.use(context.Background(), s.calls, func(ctx context.Context, c *pgx.Conn) error {
		_, err := c.Exec(ctx, "update clock set base = base + $1", int64(older))
		return err
	})
	e := expiry{looks: make(map[int32]int)}
	for passes := 0; err == nil && passes < 2; {
		var more bool
		before := e.lane
		if more, err = s.expire(&e, true); more {
			passes = 0
		} else if e.lane == 0 && before != 0 { // a step does nothing while the store's own is at work
			passes++
		}
		time.Sleep(time.Millisecond)
	}
	return err
}

// Table returns how many rows a table has.
func Table(s *Store, name string) (n int, err error) {
	err = s.use(context.Background(), s.calls, func(ctx context.Context, c *pgx.Conn) error {
		return c.QueryRow(ctx, "select count(*) from "+name).Scan(&n)
	})
	return n, err
}
