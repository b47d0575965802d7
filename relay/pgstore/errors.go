package pgstore

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"regexp"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/guance-relay/guance-relay/relay/store"
)

// SQLSTATEs that the store tells from others.
const (
	stateFull     = "RL001" // raised by append_events
	stateDiskFull = "53100"
	stateDeadlock = "40P01"
	stateConflict = "40001"
)

// failure is the error of a call that the engine did not answer as it should. It wraps no error of
// pgx: that could wrap a context's error, which says that nothing was kept.
func (s *Store) failure(err error) error {
	if pg, ok := errors.AsType[*pgconn.PgError](err); ok {
		switch pg.Code {
		case stateFull:
			return fmt.Errorf("pgstore: %s, more than MaxEntries or MaxBytes: %w", pg.Message,
				store.ErrFull)
		case stateDiskFull:
			return fmt.Errorf("pgstore: the disk of the engine is full: %w: %s", store.ErrFull,
				s.secrets.hide(pg.Error()))
		}
	}
	s.mu.Lock()
	closed := s.closed
	s.mu.Unlock()
	if closed {
		return fmt.Errorf("pgstore: %w", store.ErrClosed)
	}
	return s.unavailable(err)
}

func (s *Store) unavailable(err error) error {
	return fmt.Errorf("pgstore: %w: %s", store.ErrUnavailable, s.secrets.hide(reason(err)))
}

// reason is the text of an error of pgx, for people: one line.
func reason(err error) string {
	if errors.Is(err, context.DeadlineExceeded) {
		return "no answer in time"
	}
	if errors.Is(err, context.Canceled) {
		return "the engine was replaced"
	}
	return strings.Join(strings.Fields(err.Error()), " ")
}

// answered reports whether the engine refused a call, and did nothing of it.
func answered(err error) bool {
	pg, ok := errors.AsType[*pgconn.PgError](err)
	// Class 57 is the server's end, which may come after the commit.
	return ok && !strings.HasPrefix(pg.Code, "57") && !strings.HasPrefix(pg.Code, "08")
}

// oneIsRefused reports whether the engine refused a transaction because of what one of its requests
// has. The others may succeed.
func oneIsRefused(err error) bool {
	switch c := code(err); {
	case c == stateFull, c == stateDiskFull:
		return true
	case c == "":
		return false
	default: // data, constraints, limits
		return c[:2] == "22" || c[:2] == "23" || c[:2] == "54"
	}
}

// code returns the SQLSTATE of an error; empty if it has none.
func code(err error) string {
	if pg, ok := errors.AsType[*pgconn.PgError](err); ok {
		return pg.Code
	}
	return ""
}

// secrets are the texts that no error may have.
type secrets []string

func (s secrets) hide(text string) string {
	for _, secret := range s {
		text = strings.ReplaceAll(text, secret, "…")
	}
	return text
}

// secretsOf returns the passwords of a configuration, in the spellings that an error may have.
func secretsOf(cfg *pgx.ConnConfig) (list secrets) {
	if p := cfg.Password; p != "" {
		list = secrets{p, url.QueryEscape(p), url.PathEscape(p)}
	}
	return list
}

var knownParseError = regexp.MustCompile(`(failed to configure TLS|invalid port|invalid ` +
	`connect_timeout|unknown target_session_attrs|unknown sslnegotiation|sslmode is invalid|` +
	`unable to read (CA file|client cert)|failed to read service|failed to parse as URL|` +
	`failed to parse as keyword/value|unable to add CA to cert pool)`)

// badDSN is the error for a DSN that pgx cannot parse. The text of pgx's error may have a part of
// the DSN, and so the password: only the kind of the error is shown.
func badDSN(err error) error {
	kind := knownParseError.FindString(err.Error())
	if kind == "" {
		kind = "it is not understood"
	}
	return fmt.Errorf("pgstore: the DSN cannot be used (%s); it is like "+
		"postgres://user@host:5432/database?sslmode=verify-full", kind)
}
