package pgstore

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
)

// An engine is named by the system identifier and the timeline, which changes when a standby is
// promoted. It is empty for a standby.
const engineSQL = `select case when pg_is_in_recovery() then '' else
	(select system_identifier::text from pg_control_system()) || '/' ||
	substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8) end`

// startSQL names a managed engine that does not say: each start counts as another engine.
const startSQL = `select pg_postmaster_start_time()::text`

// engineKey is where a connection has its engine.
const engineKey = "engine"

func engineOf(c *pgx.Conn) string {
	engine, _ := c.PgConn().CustomData()[engineKey].(string)
	return engine
}

// hostTimeout is how long a host may be silent before another connection is tried: half a lease, so
// that there is time to renew it. When nothing was answered for longer, half of that time.
// Otherwise a server that is slow because of all those who connect would never be done with them.
func (s *Store) hostTimeout() time.Duration {
	silent := time.Duration(0)
	if at := s.answeredAt.Load(); at != nil {
		silent = time.Since(*at)
	}
	return min(max(s.opts.Lease/2, silent/2), s.opts.Timeout)
}

// answeredNow notes that the engine has answered.
func (s *Store) answeredNow() {
	now := time.Now()
	s.answeredAt.Store(&now)
}

// identifyEngines has each connection find out which engine it leads to. A server on an earlier
// timeline is passed over, as it is a primary that was replaced: what it took would be lost.
func (s *Store) identifyEngines(cfg *pgx.ConnConfig) {
	valid := cfg.ValidateConnect
	cfg.ValidateConnect = func(ctx context.Context, c *pgconn.PgConn) error {
		if valid != nil {
			if err := valid(ctx, c); err != nil {
				return err
			}
		}
		engine, err := scalar(ctx, c, engineSQL)
		if err != nil && answered(err) {
			engine, err = scalar(ctx, c, startSQL)
		}
		if err != nil {
			return err
		}
		c.CustomData()[engineKey] = engine
		s.answeredNow()
		s.mu.Lock()
		defer s.mu.Unlock()
		return s.checkReplaced(engine)
	}
}

func scalar(ctx context.Context, c *pgconn.PgConn, sql string) (string, error) {
	results, err := c.Exec(ctx, sql).ReadAll()
	if err != nil {
		return "", err
	}
	return string(results[0].Rows[0][0]), nil
}

// limitHosts has a connection leave time for its other hosts, if one is silent.
func (s *Store) limitHosts(cfg *pgx.ConnConfig) {
	if hostsOf(cfg) > 1 {
		cfg.ConnectTimeout = min(cfg.ConnectTimeout, s.hostTimeout())
	}
}

// checkReplaced returns an error if an engine is on an earlier timeline than the present one. mu is
// held.
func (s *Store) checkReplaced(engine string) error {
	system, timeline, _ := strings.Cut(engine, "/")
	present, newest, _ := strings.Cut(s.engine, "/")
	if system != present || timeline >= newest {
		return nil
	}
	return errors.New("the server is on an earlier timeline than the one that was used before: it " +
		"is a primary that was replaced; stop it, or, if it was restored on purpose, restart the relay")
}

// present returns a context that ends when a connection leads to another engine.
func (s *Store) present() context.Context {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.presence
}

// reached takes the engine of a new connection. If it is another one, all leases end, because a
// standby that was promoted may lack what its primary has acknowledged, and so do all calls: nobody
// answers them.
func (s *Store) reached(engine string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.engine == engine {
		return nil
	}
	if err := s.checkReplaced(engine); err != nil { // it was silent since it was connected
		return err
	}
	if s.engine != "" {
		s.log.Warn("pgstore: this is another engine, or another timeline of it: the leases of this "+
			"node have ended", "before", s.engine, "now", engine, "leases", len(s.leases))
		s.endLeases()
		s.endPresence()
		s.presence, s.endPresence = context.WithCancel(context.Background())
		for _, p := range []*pgxpool.Pool{s.commits, s.calls} {
			p.Reset()
		}
	}
	s.engine = engine
	return nil
}
