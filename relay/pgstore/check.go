package pgstore

import (
	"context"
	"fmt"
	"net"
	"strings"

	"github.com/jackc/pgx/v5"
)

// unsafeForTests accepts a server without fsync: the tests have no power cut.
var unsafeForTests = false

// A setup is what an operator has set.
type setup struct {
	version           int // as server_version_num
	fsync             bool
	fullPageWrites    bool
	synchronousCommit string
	standbyNames      string
	superuser         bool
	pooled            bool // a pooler is between this process and the server
	encrypted         bool
	local             bool // the server is on this machine
	plainFallback     bool // TLS is given up if the server has none
	verified          bool // the server's certificate is verified
	hosts             int
	readWrite         bool // target_session_attrs
}

// check finds out how the engine is set up. It logs a line for each thing that should be different,
// and returns an error for one that must be.
func (s *Store) check(ctx context.Context, c *pgx.Conn) error {
	var set setup
	var fsync, pages string
	var pid uint32
	err := c.QueryRow(ctx, `select current_setting('server_version_num')::int,
		current_setting('fsync'), current_setting('full_page_writes'),
		(select reset_val from pg_settings where name = 'synchronous_commit'),
		current_setting('synchronous_standby_names'),
		(select rolsuper from pg_roles where rolname = current_user), pg_backend_pid()`,
		pgx.QueryExecModeExec).Scan(&set.version, &fsync, &pages, &set.synchronousCommit,
		&set.standbyNames, &set.superuser, &pid)
	if err != nil {
		return err
	}
	set.fsync, set.fullPageWrites = fsync == "on", pages == "on"
	set.pooled = pid != c.PgConn().PID()
	s.inspect(&set, s.config.ConnConfig)
	errs, warnings := set.judge()
	for _, w := range warnings {
		s.log.Warn("pgstore: " + w)
	}
	if len(errs) > 0 {
		return refusal(strings.Join(errs, "; "))
	}
	return nil
}

// inspect reads the configuration of the connection.
func (s *Store) inspect(set *setup, cfg *pgx.ConnConfig) {
	set.hosts = hostsOf(cfg)
	set.local = isLocal(cfg.Host)
	set.encrypted = cfg.TLSConfig != nil
	set.verified = set.encrypted && (!cfg.TLSConfig.InsecureSkipVerify ||
		cfg.TLSConfig.VerifyPeerCertificate != nil)
	for _, f := range cfg.Fallbacks {
		set.local = set.local && isLocal(f.Host)
		set.plainFallback = set.plainFallback || (f.TLSConfig == nil) == set.encrypted
	}
	set.readWrite = cfg.ValidateConnect != nil
}

func hostsOf(cfg *pgx.ConnConfig) int {
	hosts := map[string]bool{cfg.Host + fmt.Sprint(cfg.Port): true}
	for _, f := range cfg.Fallbacks {
		hosts[f.Host+fmt.Sprint(f.Port)] = true
	}
	return len(hosts)
}

func isLocal(host string) bool {
	ip := net.ParseIP(host)
	return strings.HasPrefix(host, "/") || strings.HasPrefix(host, "@") || host == "localhost" ||
		ip != nil && ip.IsLoopback()
}

// judge returns what must be set otherwise, and what should be.
func (set *setup) judge() (errs, warnings []string) {
	warn := func(text string) { warnings = append(warnings, text) }
	if set.version < 130000 {
		errs = append(errs, fmt.Sprintf("the server has version %d.%d; 13 or later is needed",
			set.version/10000, set.version%10000))
	}
	if !set.fsync && !unsafeForTests {
		errs = append(errs, "fsync is off: a crash of the server's machine loses accepted alerts and "+
			"may damage the database; set fsync = on in postgresql.conf and reload")
	}
	if !set.fullPageWrites {
		errs = append(errs, "full_page_writes is off: a crash of the server's machine may damage the "+
			"database; set full_page_writes = on in postgresql.conf and reload")
	}
	if set.pooled {
		warn("a connection pooler such as PgBouncer is between the relay and PostgreSQL; connect to " +
			"the server itself, or use a pool in session mode: LISTEN and settings of a session do " +
			"not work in transaction mode")
	}
	switch set.synchronousCommit {
	case "off", "local":
		warn("synchronous_commit is " + set.synchronousCommit + "; the relay's own connections set it " +
			"to on")
	}
	if set.standbyNames == "" {
		warn("synchronous_standby_names is empty: accepted alerts are lost with the disk of one " +
			"server; set two standbys or more, such as 'ANY 1 (a, b)'")
	}
	if set.superuser {
		warn("the relay connects as a superuser; give it a role that owns its schema and nothing else")
	}
	switch {
	case set.local: // what is sent does not leave the machine
	case set.plainFallback:
		warn("the connection falls back to plain text if the server offers no TLS, and then alerts " +
			"can be read on the way; set sslmode=verify-full in the DSN")
	case !set.encrypted:
		warn("the connection is plain text, and alerts can be read on the way; set " +
			"sslmode=verify-full in the DSN")
	case !set.verified:
		warn("the certificate of the server is not verified, so another machine can take its place; " +
			"set sslmode=verify-full in the DSN")
	}
	if set.hosts > 1 && !set.readWrite {
		warn("the DSN has several hosts without target_session_attrs=read-write: the relay may " +
			"connect to a standby, which takes no writes; add it to the DSN")
	}
	return errs, warnings
}
