// Package pgtest starts a PostgreSQL server of its own in a temporary directory, for tests and
// demonstrations. It needs initdb and postgres on this machine, and neither a service nor root.
//
//	server, err := pgtest.Start(nil)
//	if errors.Is(err, pgtest.ErrNotFound) { ... } // PostgreSQL is not installed
//	defer server.Close()
//	db, err := pgstore.Open(ctx, server.DSN(), nil)
package pgtest

import (
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
)

// ErrNotFound: there is no PostgreSQL on this machine, or none that can be started.
var ErrNotFound = errors.New("initdb and postgres were not found; on Debian, `apt-get install " +
	"postgresql` installs them")

// Options are the settings of a [Server]. A nil *Options has all defaults.
type Options struct {
	// Settings are those of postgresql.conf.
	Settings map[string]string
	// Password is that of the user "relay". Empty: the server asks for none.
	Password string
}

// A Server is a running PostgreSQL server. Its user "relay" owns the database "relay" and is no
// superuser.
type Server struct {
	// Dir has the data directory, and the log in the file "log".
	Dir  string
	Port int

	password string
	bin      string
	as       *user.User // nil: the user of this process
}

// Start makes a database cluster in a temporary directory and starts a server, which listens on
// 127.0.0.1 alone. It takes about a second.
func Start(opts *Options) (*Server, error) {
	if opts == nil {
		opts = &Options{}
	}
	s := &Server{password: opts.Password}
	var err error
	if s.bin, err = find(); err != nil {
		return nil, err
	}
	if os.Getuid() == 0 { // PostgreSQL refuses to run as root
		if s.as, err = user.Lookup("postgres"); err != nil {
			return nil, fmt.Errorf("pgtest: as root, a user \"postgres\" is needed: %w", ErrNotFound)
		}
	}
	if err = s.makeDir(); err == nil {
		err = s.create(opts)
	}
	if err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

// makeDir makes the server's directory and finds a port for it.
func (s *Server) makeDir() (err error) {
	if s.Dir, err = os.MkdirTemp("", "pgtest"); err != nil {
		return fmt.Errorf("pgtest: %w", err)
	}
	if s.as != nil {
		uid, _ := strconv.Atoi(s.as.Uid)
		gid, _ := strconv.Atoi(s.as.Gid)
		if err := os.Chown(s.Dir, uid, gid); err != nil {
			return fmt.Errorf("pgtest: %w", err)
		}
	}
	if s.Port != 0 {
		return nil
	}
	address, err := FreeAddress()
	if err != nil {
		return err
	}
	_, port, err := net.SplitHostPort(address)
	if err == nil {
		s.Port, err = strconv.Atoi(port)
	}
	return err
}

// address has the lines of postgresql.conf that are different in each server.
func (s *Server) address() []string {
	return []string{
		fmt.Sprintf("port = %d", s.Port),
		"unix_socket_directories = '" + s.Dir + "'",
	}
}

func (s *Server) create(opts *Options) error {
	if err := s.run("initdb", "--pgdata", s.data(), "--username", "admin", "--auth", "trust",
		"--no-sync", "--encoding", "UTF8", "--locale", "C"); err != nil {
		return err
	}
	conf := append(s.address(),
		"listen_addresses = '127.0.0.1'",
		"logging_collector = off",
		"max_connections = 200",
		"shared_buffers = 64MB",
	)
	for name, value := range opts.Settings {
		conf = append(conf, fmt.Sprintf("%s = '%s'", name, strings.ReplaceAll(value, "'", "''")))
	}
	if err := s.appendTo("postgresql.conf", conf); err != nil {
		return err
	}
	if err := s.StartAgain(); err != nil {
		return err
	}
	role := "create role relay login"
	if s.password != "" {
		role += " password '" + strings.ReplaceAll(s.password, "'", "''") + "'"
	}
	for _, sql := range []string{role, "create database relay owner relay"} {
		if err := s.SQL(sql); err != nil {
			return err
		}
	}
	if s.password == "" {
		return nil
	}
	hba := "local all all trust\nhost all admin 127.0.0.1/32 trust\n" +
		"host all all 127.0.0.1/32 scram-sha-256\n"
	if err := os.WriteFile(filepath.Join(s.data(), "pg_hba.conf"), []byte(hba), 0o600); err != nil {
		return fmt.Errorf("pgtest: %w", err)
	}
	return s.run("pg_ctl", "reload", "--pgdata", s.data())
}

func (s *Server) appendTo(file string, lines []string) error {
	f, err := os.OpenFile(filepath.Join(s.data(), file), os.O_APPEND|os.O_WRONLY, 0)
	if err == nil {
		_, err = f.WriteString(strings.Join(lines, "\n") + "\n")
		err = errors.Join(err, f.Close())
	}
	if err != nil {
		return fmt.Errorf("pgtest: %w", err)
	}
	return nil
}

func (s *Server) data() string { return filepath.Join(s.Dir, "data") }

// DSN returns the connection string of the user "relay".
func (s *Server) DSN() string { return s.DSNAt(fmt.Sprintf("127.0.0.1:%d", s.Port)) }

// DSNAt returns the connection string for another address of the server, such as a proxy's.
func (s *Server) DSNAt(address string) string {
	account := url.User("relay")
	if s.password != "" {
		account = url.UserPassword("relay", s.password)
	}
	return fmt.Sprintf("postgres://%s@%s/relay?sslmode=disable", account, address)
}

// SQL executes a statement as superuser in the database "postgres", with psql.
func (s *Server) SQL(sql string) error {
	return s.run("psql", "--host", s.Dir, "--port", strconv.Itoa(s.Port), "--username", "admin",
		"--dbname", "postgres", "--no-psqlrc", "--set", "ON_ERROR_STOP=1", "--command", sql)
}

// Stop stops the server. mode is "fast", or "immediate": that is a crash of the server.
func (s *Server) Stop(mode string) error {
	return s.run("pg_ctl", "stop", "--pgdata", s.data(), "--mode", mode, "--wait")
}

// StartAgain starts a server that was stopped, on the same port.
func (s *Server) StartAgain() error {
	err := s.run("pg_ctl", "start", "--pgdata", s.data(), "--wait", "--timeout", "60",
		"--log", filepath.Join(s.Dir, "log"))
	if err != nil {
		log, _ := os.ReadFile(filepath.Join(s.Dir, "log"))
		return fmt.Errorf("%w\n%s", err, log)
	}
	return nil
}

// Close stops the server and deletes its directory.
func (s *Server) Close() error {
	if _, err := os.Stat(filepath.Join(s.data(), "postmaster.pid")); err == nil {
		_ = s.Stop("immediate") // what it has not written is deleted anyway
	}
	if err := os.RemoveAll(s.Dir); err != nil {
		return fmt.Errorf("pgtest: %w", err)
	}
	return nil
}

// run runs a program of PostgreSQL.
func (s *Server) run(program string, args ...string) error {
	cmd := exec.Command(filepath.Join(s.bin, program), args...)
	if s.as != nil {
		all := append([]string{"--reuid", s.as.Uid, "--regid", s.as.Gid, "--clear-groups",
			cmd.Path}, args...)
		cmd = exec.Command("setpriv", all...)
	}
	cmd.Dir = s.Dir
	// pg_ctl leaves a server behind that would keep a pipe open.
	out, err := os.CreateTemp("", "pgtest-out")
	if err != nil {
		return fmt.Errorf("pgtest: %w", err)
	}
	defer os.Remove(out.Name())
	defer out.Close()
	cmd.Stdout, cmd.Stderr = out, out
	cmd.Env = slices.DeleteFunc(os.Environ(), func(v string) bool {
		return strings.HasPrefix(v, "PG")
	})
	cmd.WaitDelay = time.Second
	if err := cmd.Run(); err != nil {
		said, _ := os.ReadFile(out.Name())
		return fmt.Errorf("pgtest: %s: %w: %s", program, err, said)
	}
	return nil
}

// Installed reports whether [Start] finds a PostgreSQL on this machine.
func Installed() bool {
	_, err := find()
	return err == nil
}

// find returns the directory with initdb, postgres, pg_ctl and psql; of several the newest.
func find() (string, error) {
	dirs := filepath.SplitList(os.Getenv("PATH"))
	versions, _ := filepath.Glob("/usr/lib/postgresql/*/bin")
	slices.SortFunc(versions, func(a, b string) int { return version(b) - version(a) })
	dirs = append(versions, dirs...)
	dirs = append(dirs, "/usr/local/pgsql/bin", "/opt/homebrew/bin")
	for _, dir := range dirs {
		if !slices.ContainsFunc([]string{"initdb", "postgres", "pg_ctl", "psql"}, func(name string) bool {
			_, err := os.Stat(filepath.Join(dir, name))
			return err != nil
		}) {
			return dir, nil
		}
	}
	return "", fmt.Errorf("pgtest: %w", ErrNotFound)
}

func version(dir string) int {
	n, _ := strconv.Atoi(filepath.Base(filepath.Dir(dir)))
	return n
}
