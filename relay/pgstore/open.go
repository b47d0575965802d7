// Package pgstore is the durable store of several processes, the nodes: PostgreSQL 13 or later.
//
//	db, err := pgstore.Open(ctx, "postgres://relay@db.example.com/relay?sslmode=verify-full", nil)
//	defer db.Close()
//	r, err := relay.New(db, nil)
//
// Every node accepts events. One of them owns the lanes of a group and delivers, see
// [store.Cluster]. When it ends, another one goes on: at once after a Close, and after
// Options.Lease if the process was killed or cannot reach the engine.
//
// # Durability
//
// Append, Rename, Mark, Revive and Drop return nil only after the engine has committed. Each is one
// round trip, so that a process that is stopped in the middle holds no lock. One goroutine, the
// committer, takes all calls that came during the last commit into one transaction.
//
// A commit is as durable as the engine is configured to make it. Open returns an error, or logs a
// warning that says what to do, where an operator must set something: fsync, synchronous standbys,
// TLS, the role. It sets synchronous_commit to on where it is off.
//
// # When the engine cannot be reached
//
// Calls return [store.ErrUnavailable], at the latest after Options.Timeout. What such a call wrote
// may have taken effect, and may do so later. An Append is repeated under its nonce. The store
// connects again by itself. A lease ends when it could not be renewed in time.
//
// When a standby is promoted, all leases end at once, and nobody acquires lanes for Options.Lease:
// a standby that was not synchronous may lack the last leases of its primary, whose owners may
// still send. A server on an earlier timeline, which is a primary that was replaced, is not used
// again before the process is restarted. If the DSN has several hosts, one that is silent is passed
// over after half of Options.Lease.
//
// # Tables
//
// A node has up to nine connections. All tables are in one schema. Open makes them and brings them
// up to date. A node of an older version goes on beside a newer one; Open refuses a schema with a
// newer major version. Settled entries, dead letters, IDs and records that are too old or too many
// are deleted in small steps by one node at a time, see [Options]. Ages count the store's own time,
// see [store.Store].
package pgstore

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/guance-relay/guance-relay/relay/internal/storemetrics"
	"github.com/guance-relay/guance-relay/relay/store"
)

// A Store is a [store.Cluster] on a PostgreSQL database. It is safe for concurrent use.
type Store struct {
	opts    Options
	log     *slog.Logger
	config  *pgxpool.Config
	secrets secrets
	node    int64 // identifies the process
	host    string
	clock   clock

	commits *pgxpool.Pool // of the committer
	beats   *pgxpool.Pool // of the beat
	calls   *pgxpool.Pool

	ctx      context.Context // ended by Close
	stop     context.CancelFunc
	running  sync.WaitGroup
	requests chan *request
	beatNow  chan struct{}
	done     chan struct{} // closed when Close has ended

	answeredAt atomic.Pointer[time.Time] // when the engine answered last; nil: never

	freed, asked, answers signal // something of another node may have changed
	notices               notices

	metrics *storemetrics.Metrics

	mu sync.Mutex
	// Guarded by mu:
	closed      bool
	engine      string          // see engineSQL; empty: not known
	presence    context.Context // ends when there is another engine
	endPresence context.CancelFunc
	leases      map[int64]*lease    // that have not ended, by token
	mine        map[int64]time.Time // tokens that the database may have of this process; last use
	arrivals    map[int32]*signal
	lanes       map[string]bool // names that the database has
}

var _ store.Cluster = (*Store)(nil)

// Open connects to a database, and makes its tables or brings them up to date. dsn is a URL or a
// list of key=value pairs, as libpq reads it, with its environment variables and password file. No
// error and no line of the log has the password.
func Open(ctx context.Context, dsn string, opts *Options) (*Store, error) {
	o, err := opts.withDefaults()
	if err != nil {
		return nil, err
	}
	cfg, err := pgxpool.ParseConfig(dsn)
	if err != nil {
		return nil, badDSN(err)
	}
	s := &Store{
		opts: o, log: o.Logger, config: cfg, secrets: secretsOf(cfg.ConnConfig),
		node: rand.Int64(), requests: make(chan *request, maxBatch),
		beatNow: make(chan struct{}, 1), done: make(chan struct{}),
		leases: make(map[int64]*lease), mine: make(map[int64]time.Time),
		arrivals: make(map[int32]*signal), lanes: make(map[string]bool),
	}
	s.host, _ = os.Hostname()
	if cfg.ConnConfig.RuntimeParams["application_name"] == "" {
		cfg.ConnConfig.RuntimeParams["application_name"] = "guance-relay"
	}
	if cfg.ConnConfig.ConnectTimeout == 0 || cfg.ConnConfig.ConnectTimeout > o.Timeout {
		cfg.ConnConfig.ConnectTimeout = o.Timeout
	}
	s.ctx, s.stop = context.WithCancel(context.Background())
	s.presence, s.endPresence = context.WithCancel(context.Background())
	s.notices.wake = make(chan struct{}, 1)
	if err := s.start(ctx); err != nil {
		s.stop()
		s.closePools()
		return nil, err
	}
	return s, nil
}

func (s *Store) start(ctx context.Context) (err error) {
	limited, cancel := context.WithTimeout(ctx, 3*s.opts.Timeout)
	defer cancel()
	if s.commits, err = s.pool(1); err != nil {
		return err
	}
	if s.beats, err = s.pool(1); err != nil {
		return err
	}
	if s.calls, err = s.pool(callConns); err != nil {
		return err
	}
	if err := s.use(limited, s.calls, s.check); err != nil {
		return s.openError(ctx, err)
	}
	if err := s.use(limited, s.calls, s.migrate); err != nil {
		return s.openError(ctx, err)
	}
	// The first answer may have taken long; the clock takes the best of three.
	for range 3 {
		if err := s.beat(limited); err != nil {
			return s.openError(ctx, err)
		}
	}
	if s.metrics, err = storemetrics.New(s.opts.MeterProvider, s.usage); err != nil {
		return fmt.Errorf("pgstore: %w", err)
	}
	for _, run := range []func(){s.commitLoop, s.beatLoop, s.listenLoop, s.notifyLoop, s.expireLoop} {
		s.running.Go(run)
	}
	return nil
}

// A refusal is an error of Open that does not come from the connection.
type refusal string

func (r refusal) Error() string { return string(r) }

func (s *Store) openError(ctx context.Context, err error) error {
	if r, ok := errors.AsType[refusal](err); ok {
		return fmt.Errorf("pgstore: %s", string(r))
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	return s.unavailable(err)
}

// Close releases all leases and closes the connections. Calls that wait return [store.ErrClosed].
// If the engine cannot be reached, it returns [store.ErrUnavailable], and the leases end by time.
// To close a store twice is no error.
func (s *Store) Close() error {
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		<-s.done
		return nil
	}
	s.closed = true
	s.endLeases()
	tokens := make([]int64, 0, len(s.mine))
	for token := range s.mine {
		tokens = append(tokens, token)
	}
	s.mu.Unlock()
	defer close(s.done)
	s.stop()
	s.running.Wait()
	err := errors.Join(s.metrics.Close(), s.leave(tokens))
	s.clock.freeze()
	s.closePools()
	return err
}

func (s *Store) closePools() {
	s.mu.Lock()
	s.endPresence()
	s.mu.Unlock()
	for _, p := range []*pgxpool.Pool{s.commits, s.beats, s.calls} {
		if p != nil {
			p.Close()
		}
	}
}

// usable returns an error if the store is closed or ctx has ended.
func (s *Store) usable(ctx context.Context) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return fmt.Errorf("pgstore: %w", store.ErrClosed)
	}
	return ctx.Err()
}
