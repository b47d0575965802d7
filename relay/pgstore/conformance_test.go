package pgstore_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync/atomic"
	"testing"
	"time"

	"github.com/guance-relay/guance-relay/relay/pgstore"
	"github.com/guance-relay/guance-relay/relay/pgstore/pgtest"
	"github.com/guance-relay/guance-relay/relay/store"
	"github.com/guance-relay/guance-relay/relay/storetest"
)

// server is the one that the tests of this package share. Each test has a schema of its own. Nil:
// PostgreSQL is not installed.
var server *pgtest.Server

func TestMain(m *testing.M) { os.Exit(runTests(m)) }

func runTests(m *testing.M) int {
	var err error
	// Some 100 schemas are made here. Without fsync that takes less time.
	pgstore.AcceptUnsafe(true)
	server, err = pgtest.Start(&pgtest.Options{Settings: map[string]string{"fsync": "off"}})
	switch {
	case err == nil:
		defer server.Close()
	case errors.Is(err, pgtest.ErrNotFound) && os.Getenv("RELAY_TEST_POSTGRES") != "required":
		fmt.Fprintln(os.Stderr, "relay/pgstore: the tests on a real engine are SKIPPED:", err)
		// `go test` shows no output of a package that passes, but for this line it adds
		// "[no tests to run]" to the package's result.
		fmt.Println("testing: warning: no tests to run")
	default:
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return m.Run()
}

var schemas atomic.Int64

// schema returns the options for a schema of its own.
func schema(t testing.TB, opts pgstore.Options) *pgstore.Options {
	t.Helper()
	if server == nil {
		t.Skip("SKIPPED: PostgreSQL is not installed")
	}
	opts.Schema = fmt.Sprint("test_", schemas.Add(1))
	if opts.Logger == nil {
		opts.Logger = quiet(t)
	}
	return &opts
}

func open(t testing.TB, opts *pgstore.Options) *pgstore.Store {
	t.Helper()
	return openAt(t, server.DSN(), opts)
}

func openAt(t testing.TB, dsn string, opts *pgstore.Options) *pgstore.Store {
	t.Helper()
	s, err := pgstore.Open(context.Background(), dsn, opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

// The faults are those of a network, and the promotion of a standby. The process of a store is
// stopped in TestStoppedProcess.
func TestConformance(t *testing.T) {
	storetest.Run(t, func(t *testing.T) storetest.Harness {
		opts := schema(t, pgstore.Options{MaxEntries: 500, MaxLaneEntries: 500})
		return withFaults(t, harness(opts, true), opts)
	})
}

// withFaults has each store of a harness reach the server through a proxy.
func withFaults(
	t *testing.T, h storetest.Harness, opts *pgstore.Options,
) storetest.Harness {
	target := fmt.Sprintf("127.0.0.1:%d", server.Port)
	proxies := make(map[store.Store]*proxy)
	h.Open = func() (store.Store, error) {
		p := newProxy(t, target)
		s, err := pgstore.Open(context.Background(), server.DSNAt(p.address()), opts)
		proxies[s] = p
		return s, err
	}
	h.Another = h.Open
	h.Pause = func(s store.Store, d time.Duration) {
		proxies[s].set(func(p *proxy) { p.frozen = time.Now().Add(d) })
	}
	h.Cut = func(s store.Store, landed bool) (restore func()) {
		p := proxies[s]
		if landed { // what is not connected cannot take effect
			if err := pgstore.Connect(s.(*pgstore.Store)); err != nil {
				t.Error(err)
			}
		}
		p.set(func(p *proxy) { p.lose, p.refuse = landed, !landed })
		if !landed {
			p.cut()
		}
		return func() { p.set(func(p *proxy) { p.lose, p.refuse = false, false }) }
	}
	h.Replicate = func() (promote func()) {
		standby, err := server.Standby(0)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = standby.Close() })
		for _, sql := range []string{"alter system set primary_conninfo = ''",
			"select pg_reload_conf()"} {
			if err := standby.SQL(sql); err != nil {
				t.Fatal(err)
			}
		}
		time.Sleep(200 * time.Millisecond) // the reload reaches all processes
		return func() {
			if err := standby.Promote(); err != nil {
				t.Error(err)
			}
			target = fmt.Sprintf("127.0.0.1:%d", standby.Port)
			for _, p := range proxies {
				p.set(func(p *proxy) { p.target = target })
				p.cut()
			}
		}
	}
	return h
}

func TestConformanceWithBoundOfLane(t *testing.T) {
	storetest.Run(t, func(t *testing.T) storetest.Harness {
		return harness(schema(t, pgstore.Options{MaxLaneEntries: 500}), false)
	})
}

// harness tests the bound of the store if whole is set, and otherwise that of a lane.
func harness(opts *pgstore.Options, whole bool) storetest.Harness {
	h := storetest.Harness{
		Open: func() (store.Store, error) {
			return pgstore.Open(context.Background(), server.DSN(), opts)
		},
		Close: func(s store.Store) error { return s.(*pgstore.Store).Close() },
	}
	h.Another = h.Open
	if whole {
		h.MaxEntries = opts.MaxEntries
	} else {
		h.MaxLaneEntries = opts.MaxLaneEntries
	}
	return h
}
