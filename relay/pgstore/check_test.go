package pgstore

import (
	"log/slog"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
)

func TestJudge(t *testing.T) {
	defer AcceptUnsafe(unsafeForTests)
	AcceptUnsafe(false)
	good := setup{
		version: 150018, fsync: true, fullPageWrites: true, synchronousCommit: "on",
		standbyNames: "ANY 1 (a, b)", encrypted: true, verified: true, hosts: 2, readWrite: true,
	}
	if errs, warnings := good.judge(); len(errs)+len(warnings) > 0 {
		t.Errorf("a good setup: %q, %q", errs, warnings)
	}
	for word, change := range map[string]func(*setup){
		"error: 13 or later":              func(s *setup) { s.version = 120007 },
		"error: fsync is off":             func(s *setup) { s.fsync = false },
		"error: full_page_writes is off":  func(s *setup) { s.fullPageWrites = false },
		"warning: PgBouncer":              func(s *setup) { s.pooled = true },
		"warning: synchronous_commit":     func(s *setup) { s.synchronousCommit = "local" },
		"warning: standby_names is empty": func(s *setup) { s.standbyNames = "" },
		"warning: superuser":              func(s *setup) { s.superuser = true },
		"warning: falls back":             func(s *setup) { s.plainFallback = true },
		"warning: is plain text":          func(s *setup) { s.encrypted = false },
		"warning: not verified":           func(s *setup) { s.verified = false },
		"warning: target_session_attrs":   func(s *setup) { s.readWrite = false },
	} {
		set := good
		change(&set)
		errs, warnings := set.judge()
		got := "error: " + strings.Join(errs, "; ")
		if len(errs) == 0 {
			got = "warning: " + strings.Join(warnings, "; ")
		}
		kind, text, _ := strings.Cut(word, ": ")
		if len(errs)+len(warnings) != 1 || !strings.HasPrefix(got, kind) || !strings.Contains(got, text) {
			t.Errorf("%s: got %s", word, got)
		}
	}
}

func TestInspectDSN(t *testing.T) {
	for dsn, want := range map[string]string{
		"postgres://r@db/x":                                                      "falls back",
		"postgres://r@db/x?sslmode=allow":                                        "falls back",
		"postgres://r@db/x?sslmode=disable":                                      "is plain text",
		"postgres://r@db/x?sslmode=require":                                      "not verified",
		"postgres://r@db/x?sslmode=verify-full":                                  "",
		"postgres://r@localhost/x":                                               "",
		"host=/run/postgresql user=r":                                            "",
		"postgres://r@a,b/x?sslmode=verify-full":                                 "target_session_attrs",
		"postgres://r@a,b/x?sslmode=verify-full&target_session_attrs=read-write": "",
		"postgres://r@localhost,b/x?target_session_attrs=read-write":             "falls back",
	} {
		cfg, err := pgx.ParseConfig(dsn)
		if err != nil {
			t.Fatal(err)
		}
		set := setup{version: 150000, fsync: true, fullPageWrites: true, standbyNames: "a, b"}
		(&Store{log: slog.Default()}).inspect(&set, cfg)
		_, warnings := set.judge()
		got := strings.Join(warnings, "; ")
		if want == "" && got != "" || !strings.Contains(got, want) {
			t.Errorf("%s: got the warnings %q, want %q", dsn, got, want)
		}
	}
}
