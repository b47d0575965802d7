package pgstore_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/guance-relay/guance-relay/relay/pgstore"
	"github.com/guance-relay/guance-relay/relay/pgstore/pgtest"
	"github.com/guance-relay/guance-relay/relay/store"
)

const password = "pa55-w/rd?&é"

// No error and no line of the log has the password of the DSN, however it fails.
func TestNoSecretInErrors(t *testing.T) {
	if server == nil {
		t.Skip("SKIPPED: PostgreSQL is not installed")
	}
	own, err := pgtest.Start(&pgtest.Options{Password: "right"})
	if err != nil {
		t.Fatal(err)
	}
	defer own.Close()
	const encoded = "pa55-w%2Frd%3F%26%C3%A9"
	at := fmt.Sprintf("@127.0.0.1:%d/relay", own.Port)
	plain := "?sslmode=disable"
	for name, dsn := range map[string]string{
		"no URL":            "postgres://relay:" + encoded + "@[::1/relay",
		"a bad escape":      "postgres://relay:" + encoded + "%zz" + at,
		"not escaped":       "postgres://relay:" + password + at + plain,
		"bad port":          "postgres://relay:" + encoded + "@127.0.0.1:x/relay",
		"port out of range": "postgres://relay:" + encoded + "@127.0.0.1:99999/relay",
		"bad sslmode":       "postgres://relay:" + encoded + at + "?sslmode=some",
		"no CA": "postgres://relay:" + encoded + at +
			"?sslmode=verify-full&sslrootcert=/no/such",
		"bad timeout":    "postgres://relay:" + encoded + at + "?connect_timeout=x",
		"bad session":    "postgres://relay:" + encoded + at + plain + "&target_session_attrs=x",
		"bad parameter":  "postgres://relay:" + encoded + at + plain + "&no_such_setting=1",
		"quote":          "host=127.0.0.1 user=relay password='" + password,
		"no pair":        "host=127.0.0.1 user=relay password=" + password + " and more",
		"wrong password": "postgres://relay:" + encoded + at + plain,
		"wrong, in pairs": fmt.Sprintf("host=127.0.0.1 port=%d dbname=relay user=relay sslmode=disable "+
			"password='%s'", own.Port, password),
		"no TLS":      "postgres://relay:" + encoded + at + "?sslmode=require",
		"no host":     "postgres://relay:" + encoded + "@no-such-host.invalid/relay" + plain,
		"no server":   "postgres://relay:" + encoded + "@127.0.0.1:1/relay" + plain,
		"no user":     "postgres://nobody:" + encoded + at + plain,
		"no database": strings.ReplaceAll("postgres://relay:"+encoded+at, "/relay", "/none") + plain,
		"several hosts": "postgres://relay:" + encoded + "@127.0.0.1:1,127.0.0.1:2/relay" + plain +
			"&target_session_attrs=read-write",
	} {
		t.Run(name, func(t *testing.T) {
			var log buffer
			ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
			defer cancel()
			s, err := pgstore.Open(ctx, dsn, &pgstore.Options{
				Logger: slog.New(slog.NewTextHandler(&log, nil)), Timeout: 3 * time.Second,
			})
			if err == nil {
				_ = s.Close()
				t.Fatal("opened")
			}
			for what, text := range map[string]string{"error": fmt.Sprintf("%v %+v %#v", err, err, err),
				"log": log.String()} {
				for _, secret := range []string{password, encoded, "pa55", "rd?", "C3%A9"} {
					if strings.Contains(text, secret) {
						t.Errorf("the %s has the password: %s", what, text)
					}
				}
			}
			if errors.Is(err, context.DeadlineExceeded) || strings.Contains(err.Error(), "\n") {
				t.Errorf("the error is not one line, or wraps that of a context: %v", err)
			}
			t.Log(err)
		})
	}
}

// Several nodes that start at once make one schema, and one of a newer version is refused.
func TestOpenMakesTheSchema(t *testing.T) {
	opts := schema(t, pgstore.Options{})
	var wg sync.WaitGroup
	for range 5 {
		wg.Go(func() {
			s, err := pgstore.Open(t.Context(), server.DSN(), opts)
			if err != nil {
				t.Error(err)
				return
			}
			appendTo(t, s, event("", "p", "lane"))
			if err := s.Close(); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	c, err := pgx.Connect(t.Context(), server.DSN())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close(t.Context())
	// A newer minor version is one that this node can live with.
	update := "update " + opts.Schema + ".version set "
	if _, err := c.Exec(t.Context(), update+"minor = minor + 1"); err != nil {
		t.Fatal(err)
	}
	s := open(t, opts)
	if h, err := s.Holdings(t.Context()); err != nil || h["lane"].Pending != 5 {
		t.Errorf("Holdings: %v, %v", h, err)
	}
	if _, err := c.Exec(t.Context(), update+"major = major + 1"); err != nil {
		t.Fatal(err)
	}
	_, err = pgstore.Open(t.Context(), server.DSN(), opts)
	if err == nil || errors.Is(err, store.ErrUnavailable) || !strings.Contains(err.Error(), "newer") {
		t.Errorf("Open of a newer major version: %v", err)
	}
}

func TestOptions(t *testing.T) {
	for name, opts := range map[string]pgstore.Options{
		"negative": {MaxDead: -1}, "schema": {Schema: `a"b`}, "lease": {Lease: time.Millisecond},
	} {
		if _, err := pgstore.Open(t.Context(), "postgres://x@127.0.0.1:1/x", &opts); err == nil ||
			errors.Is(err, store.ErrUnavailable) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// Open says what an operator must set.
func TestOpenWarns(t *testing.T) {
	opts := schema(t, pgstore.Options{})
	var log buffer
	opts.Logger = slog.New(slog.NewTextHandler(&log, nil))
	open(t, opts)
	if got := log.String(); strings.Count(got, "\n") != 1 ||
		!strings.Contains(got, "synchronous_standby_names is empty") {
		t.Errorf("the log of a server without a standby: %s", got)
	}
	opts = schema(t, pgstore.Options{})
	log = buffer{}
	opts.Logger = slog.New(slog.NewTextHandler(&log, nil))
	openAt(t, strings.Replace(server.DSN(), "relay@", "admin@", 1), opts)
	if got := log.String(); !strings.Contains(got, "superuser") {
		t.Errorf("the log of a superuser: %s", got)
	}
}
