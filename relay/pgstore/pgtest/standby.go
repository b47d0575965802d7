package pgtest

import (
	"errors"
	"strconv"
	"time"
)

// Standby starts a standby of the server on a port of 127.0.0.1; zero means a free one. It takes
// about two seconds. The server does not wait for it before Synchronous.
func (s *Server) Standby(port int) (*Server, error) {
	b := &Server{Port: port, password: s.password, bin: s.bin, as: s.as}
	err := b.makeDir()
	if err == nil {
		err = b.run("pg_basebackup", "--pgdata", b.data(), "--host", s.Dir, "--port",
			strconv.Itoa(s.Port), "--username", "admin", "--write-recovery-conf", "--checkpoint", "fast",
			"--no-sync")
	}
	if err == nil {
		err = b.appendTo("postgresql.conf", b.address())
	}
	if err == nil { // the last line of a name counts
		err = b.appendTo("postgresql.auto.conf", []string{"synchronous_standby_names = ''"})
	}
	if err == nil {
		err = b.StartAgain()
	}
	if err != nil {
		return nil, errors.Join(err, b.Close())
	}
	return b, nil
}

// Synchronous has each commit of the server wait for a standby, and returns when one has caught up.
func (s *Server) Synchronous() error {
	if err := s.setStandbys("*"); err != nil {
		return err
	}
	const caughtUp = `do $$ begin
		if not exists (select from pg_stat_replication where sync_state in ('sync', 'quorum')) then
			raise exception 'no standby has caught up';
		end if;
	end $$`
	for begin := time.Now(); ; time.Sleep(20 * time.Millisecond) {
		if err := s.SQL(caughtUp); err == nil || time.Since(begin) > time.Minute {
			return err
		}
	}
}

func (s *Server) setStandbys(names string) error {
	if err := s.SQL("alter system set synchronous_standby_names = '" + names + "'"); err != nil {
		return err
	}
	return s.SQL("select pg_reload_conf()")
}

// Promote makes a primary of a standby, and returns when it takes writes. Its commits wait for no
// standby.
func (s *Server) Promote() error {
	return s.SQL("do $$ begin if not pg_promote() then raise exception 'not promoted'; end if; end $$")
}
