package pgstore

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/guance-relay/guance-relay/relay/store"
)

// callConns are the connections that all calls share but those of the committer, the beat and the
// listener. These have one each, so that they wait for no other call.
const callConns = 6

// pool returns a pool of up to n connections. It connects on first use.
func (s *Store) pool(n int32) (*pgxpool.Pool, error) {
	cfg := s.config.Copy()
	cfg.MaxConns, cfg.MinConns, cfg.MinIdleConns = n, 0, 0
	cfg.MaxConnLifetime, cfg.MaxConnIdleTime = 24*time.Hour, 24*time.Hour
	cfg.PingTimeout = s.opts.Timeout / 2
	s.identifyEngines(cfg.ConnConfig)
	cfg.BeforeConnect = func(_ context.Context, c *pgx.ConnConfig) error {
		neverCancel(&c.Config)
		s.limitHosts(c)
		return nil
	}
	cfg.AfterConnect = s.connected
	cfg.BeforeClose = func(c *pgx.Conn) {
		// After a call that was not answered, pgx waits 15 s for the server to end the connection, and
		// the pool makes no other one meanwhile.
		if c.IsClosed() {
			_ = c.PgConn().Conn().Close() // nothing of it is needed any more
		}
	}
	p, err := pgxpool.NewWithConfig(context.Background(), cfg)
	if err != nil {
		return nil, s.unavailable(err)
	}
	return p, nil
}

var errNoCancel = errors.New("requests to cancel are not sent")

// neverCancel keeps a connection from asking the server to cancel what it does, which pgx does
// whenever a connection breaks or a context ends. A commit that waits for its standby would end by
// that, and be visible although it is not replicated.
func neverCancel(c *pgconn.Config) {
	dial, made := c.DialFunc, new(atomic.Bool)
	c.DialFunc = func(ctx context.Context, network, address string) (net.Conn, error) {
		if made.Load() {
			return nil, errNoCancel
		}
		return dial(ctx, network, address)
	}
	c.AfterConnect = func(context.Context, *pgconn.PgConn) error {
		made.Store(true)
		return nil
	}
}

// Settings of each connection. Every query of the store goes by an index, and so one plan is right
// for all: it is made once, also while a table is empty. The functions read what was committed
// before each statement.
const setUpSQL = `select
	set_config('search_path', $1, false), set_config('enable_seqscan', 'off', false),
	set_config('jit', 'off', false), set_config('plan_cache_mode', 'force_generic_plan', false),
	set_config('default_transaction_isolation', 'read committed', false),
	set_config('lock_timeout', $2, false),
	set_config('idle_in_transaction_session_timeout', $2, false),
	case when current_setting('synchronous_commit') in ('off', 'local')
		then set_config('synchronous_commit', 'on', false) end,
	pg_is_in_recovery()`

// connected prepares a connection that was made.
func (s *Store) connected(ctx context.Context, c *pgx.Conn) error {
	ctx, cancel := context.WithTimeout(ctx, s.opts.Timeout)
	defer cancel()
	var unused [8]*string
	var standby bool
	err := c.QueryRow(ctx, setUpSQL, pgx.QueryExecModeExec, s.opts.Schema,
		fmt.Sprint((s.opts.Timeout*4/5).Milliseconds())).Scan(&unused[0], &unused[1], &unused[2],
		&unused[3], &unused[4], &unused[5], &unused[6], &unused[7], &standby)
	if err != nil {
		return err
	}
	if standby {
		return errors.New("the server is a standby, which takes no writes; name all hosts in the DSN, " +
			"with target_session_attrs=read-write")
	}
	return s.reached(engineOf(c))
}

// read makes a call that changes nothing. It is repeated if its connection is broken: after a
// restart of the engine, all idle connections are.
func (s *Store) read(ctx context.Context, fn func(context.Context, *pgx.Conn) error) error {
	if err := s.usable(ctx); err != nil {
		return err
	}
	limited, cancel := context.WithTimeout(ctx, s.opts.Timeout)
	defer cancel()
	defer context.AfterFunc(s.ctx, cancel)()
	var err error
	for range callConns + 1 {
		if err = s.use(limited, s.calls, fn); err == nil || answered(err) || limited.Err() != nil {
			break
		}
	}
	if err == nil {
		return nil
	}
	if e := s.usable(ctx); e != nil {
		return e
	}
	return s.failure(err)
}

// change makes a call that changes something. The call goes on when ctx ends, and what becomes of
// it is not known then. A caller can undo with late what was changed after it has gone.
func (s *Store) change(
	ctx context.Context, fn func(context.Context, *pgx.Conn) error, late func(),
) error {
	if err := s.usable(ctx); err != nil {
		return err
	}
	done := make(chan error, 1)
	var ended atomic.Bool // set by whoever is first: the call that ends, or the caller who leaves
	go func() {
		limited, cancel := context.WithTimeout(context.Background(), s.opts.Timeout)
		defer cancel()
		done <- s.use(limited, s.calls, fn)
		if !ended.CompareAndSwap(false, true) && late != nil {
			late()
		}
	}()
	select {
	case <-ctx.Done():
		if ended.CompareAndSwap(false, true) {
			return fmt.Errorf("pgstore: the caller did not wait for the engine: %w",
				store.ErrUnavailable)
		}
		return s.result(<-done)
	case err := <-done:
		return s.result(err)
	}
}

func (s *Store) result(err error) error {
	if err != nil {
		return s.failure(err)
	}
	return nil
}

// use calls fn with a connection of a pool. The call ends when a connection leads to another
// engine: this one does not answer any more.
func (s *Store) use(
	ctx context.Context, p *pgxpool.Pool, fn func(context.Context, *pgx.Conn) error,
) error {
	if p != s.beats { // they have less time, and find the other engine
		limited, cancel := context.WithCancel(ctx)
		defer cancel()
		defer context.AfterFunc(s.present(), cancel)()
		ctx = limited
	}
	c, err := p.Acquire(ctx)
	if err != nil {
		return err
	}
	defer c.Release()
	return fn(ctx, c.Conn())
}
