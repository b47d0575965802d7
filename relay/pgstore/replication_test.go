package pgstore_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/guance-relay/guance-relay/relay/pgstore"
	"github.com/guance-relay/guance-relay/relay/pgstore/pgtest"
	"github.com/guance-relay/guance-relay/relay/store"
)

// A commit that waits for its standby is not cancelled, neither by the context of its caller nor by
// the end of the connection; a repetition is answered once the standby has it, and not before.
func TestCommitThatWaitsForItsStandby(t *testing.T) {
	server := ownServer(t)
	opts := &pgstore.Options{Logger: quiet(t), Timeout: time.Second, Lease: 30 * time.Second}
	s := openAt(t, server.DSN(), opts)
	appendTo(t, s, event("before", "p", "lane"))
	for _, sql := range []string{"alter system set synchronous_standby_names = 'nobody'",
		"select pg_reload_conf()"} {
		if err := server.SQL(sql); err != nil {
			t.Fatal(err)
		}
	}
	admin, err := pgx.Connect(t.Context(), strings.Replace(server.DSN(), "relay@", "admin@", 1))
	if err != nil {
		t.Fatal(err)
	}
	defer admin.Close(context.Background())
	waiting := func() (appends, all int) {
		err := admin.QueryRow(t.Context(), `select
			count(*) filter (where query like '%append_events%'), count(*)
			from pg_stat_activity where wait_event = 'SyncRep'`).Scan(&appends, &all)
		if err != nil {
			t.Fatal(err)
		}
		return appends, all
	}
	time.Sleep(200 * time.Millisecond) // the reload reaches all backends
	b := batch(event("", "q", "lane"))
	b.Nonce = "nonce"
	for range 3 { // the caller leaves; then the connection is given up
		ctx, cancel := context.WithTimeout(t.Context(), 600*time.Millisecond)
		err := s.Append(ctx, b)
		cancel()
		if !errors.Is(err, store.ErrUnavailable) || errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("an append that is not replicated: %v", err)
		}
		time.Sleep(700 * time.Millisecond)
	}
	// What expires takes the lock of appends too: its commit may be the one that waits.
	if appends, all := waiting(); appends > 1 || all == 0 {
		t.Errorf("%d commits wait for the standby, %d of them appends; want one append at most", all,
			appends)
	}
	if err := s.Append(t.Context(), b); !errors.Is(err, store.ErrUnavailable) {
		t.Errorf("a repetition while the standby is not there: %v", err)
	}
	for _, sql := range []string{"alter system reset synchronous_standby_names",
		"select pg_reload_conf()"} {
		if err := server.SQL(sql); err != nil {
			t.Fatal(err)
		}
	}
	for begin := time.Now(); ; time.Sleep(50 * time.Millisecond) {
		err := s.Append(t.Context(), b)
		if err == nil {
			break
		}
		if time.Since(begin) > 20*time.Second {
			t.Fatal(err)
		}
	}
	if seq := b.Events[0].Placed[0].Seq; seq != 2 {
		t.Errorf("the repetition reports entry %d, want 2", seq)
	}
	if h, err := s.Holdings(t.Context()); err != nil || h["lane"].Pending != 2 {
		t.Errorf("Holdings: %+v, %v", h, err)
	}
}

// A lease ends when the engine is on another timeline, as after the promotion of a standby,
// although its time has not passed.
func TestPromotionEndsLeases(t *testing.T) {
	server := ownServer(t)
	opts := &pgstore.Options{Logger: quiet(t), Lease: 20 * time.Second}
	s := openAt(t, server.DSN(), opts)
	appendTo(t, s, event("before", "p", "lane"))
	restart := func(promote bool) {
		t.Helper()
		if err := server.Stop("fast"); err != nil {
			t.Fatal(err)
		}
		if promote {
			signal := filepath.Join(server.Dir, "data", "standby.signal")
			if err := os.WriteFile(signal, nil, 0o666); err != nil {
				t.Fatal(err)
			}
		}
		if err := server.StartAgain(); err != nil {
			t.Fatal(err)
		}
		if promote {
			if err := server.SQL("select pg_promote()"); err != nil {
				t.Fatal(err)
			}
		}
	}
	until := func(what string, lost <-chan struct{}, want bool) {
		t.Helper()
		begin := time.Now()
		for s.Append(t.Context(), batch(event("", "q", "lane"))) != nil {
			if time.Since(begin) > 30*time.Second {
				t.Fatal("appends do not go on")
			}
			time.Sleep(10 * time.Millisecond)
		}
		got := false
		select {
		case <-lost:
			got = true
		case <-time.After(3 * time.Second):
		}
		if got != want {
			t.Errorf("%s: the lease has ended: %v, want %v", what, got, want)
		}
	}
	l := acquire(t, s, "node", "lane")
	restart(false)
	until("a restart", l.Lost(), false)
	if _, err := l.Lane("lane").Load(t.Context(), 1); err != nil {
		t.Errorf("Load after a restart: %v", err)
	}
	restart(true)
	until("a promotion", l.Lost(), true)
}

// A standby that was promoted may lack the last leases of its primary. Nobody acquires lanes before
// these have ended.
func TestPromotedStandbyLacksALease(t *testing.T) {
	primary := ownServer(t)
	opts := &pgstore.Options{Logger: quiet(t)}
	a := openAt(t, primary.DSN(), opts)
	appendTo(t, a, event("1", "p", "lane"))
	_ = acquire(t, a, "a", "lane").Release() // the standby knows the primary's timeline
	standby := standbyOf(t, primary)
	if err := standby.Promote(); err != nil { // what comes now, it does not get
		t.Fatal(err)
	}
	b := openAt(t, standby.DSN(), opts)
	old := acquire(t, a, "a", "lane")
	if err := primary.Stop("immediate"); err != nil {
		t.Fatal(err)
	}
	l := acquire(t, b, "b", "lane")
	if left := time.Until(old.Until()); left > 0 {
		t.Errorf("node b owns the lane, and node a owns it for %v more", left)
	}
	if _, err := l.Lane("lane").Load(t.Context(), 1); err != nil {
		t.Error(err)
	}
	if err := l.Release(); err != nil {
		t.Error(err)
	}
	begin := time.Now()
	acquire(t, b, "b", "lane")
	if took := time.Since(begin); took > 2*time.Second {
		t.Errorf("a lease was waited for again: %v", took)
	}
}

func standbyOf(t *testing.T, primary *pgtest.Server) *pgtest.Server {
	t.Helper()
	s, err := primary.Standby(0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

// If the primary's machine falls silent, calls go on once its standby is promoted, although the
// primary is the first host of the DSN and ends no connection. When it is back, it is not used.
func TestPrimaryHangs(t *testing.T) {
	primary := ownServer(t)
	standby := standbyOf(t, primary)
	if err := primary.Synchronous(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = primary.Thaw() })
	opts := &pgstore.Options{Logger: quiet(t), Timeout: time.Minute} // nothing waits for that
	s := openAt(t, fmt.Sprintf("postgres://relay@127.0.0.1:%d,127.0.0.1:%d/relay?sslmode=disable"+
		"&target_session_attrs=read-write", primary.Port, standby.Port), opts)
	appendTo(t, s, event("1", "p", "lane"))
	acquire(t, s, "node", "lane")
	b := batch(event("", "q", "lane"))
	b.Nonce = "nonce"
	appendSoon := func(what string) {
		t.Helper()
		for begin := time.Now(); ; time.Sleep(20 * time.Millisecond) {
			err := s.Append(t.Context(), b)
			took := time.Since(begin)
			if err == nil {
				t.Logf("%s: appended after %v", what, took)
				return
			}
			if took > 15*time.Second {
				t.Fatalf("%s: not appended after %v: %v", what, took, err)
			}
		}
	}
	if err := primary.Freeze(); err != nil {
		t.Fatal(err)
	}
	if err := standby.Promote(); err != nil {
		t.Fatal(err)
	}
	appendSoon("the primary hangs")
	l := acquire(t, s, "node", "lane")
	if err := primary.Thaw(); err != nil {
		t.Fatal(err)
	}
	const end = "select pg_terminate_backend(pid) from pg_stat_activity where usename = 'relay'"
	if err := standby.SQL(end); err != nil {
		t.Fatal(err)
	}
	b.Events[0], b.Nonce = event("", "r", "lane"), "another nonce"
	appendSoon("the primary is back")
	if seq := b.Events[0].Placed[0].Seq; seq != 3 {
		t.Errorf("appended as entry %d, want 3", seq)
	}
	if _, err := l.Lane("lane").Load(t.Context(), 3); err != nil {
		t.Error(err)
	}
}
