package pgstore_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync/atomic"
	"testing"

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

func TestConformance(t *testing.T) {
	storetest.Run(t, func(t *testing.T) storetest.Harness {
		return harness(schema(t, pgstore.Options{MaxEntries: 500, MaxLaneEntries: 500}), true)
	})
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
