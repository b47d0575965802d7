package pgstore

import (
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/guance-relay/guance-relay/guance"
	"github.com/guance-relay/guance-relay/relay/store"
)

var entryColumns = []string{
	"seq", "state", "level", "failed", "begun", "sticky", "kept", "time", "accepted", "problem", "id",
	"trace",
}

// columns lists the columns of an entry without its body, of a table with an alias.
func columns(alias string) string {
	return alias + "." + strings.Join(entryColumns, ", "+alias+".")
}

// A scanner reads rows that begin with the name of the lane and the columns of an entry.
type scanner struct {
	entry          store.Entry
	seq            *int64 // null: there is a lane and no entry
	state, level   *int32
	failed         *int32
	begun, sticky  *bool
	kept           *int64
	time, accepted *int64
	problem, id    []byte
	trace          []byte
}

func (s *scanner) dest(more ...any) []any {
	return append([]any{&s.entry.Lane, &s.seq, &s.state, &s.level, &s.failed, &s.begun, &s.sticky,
		&s.kept, &s.time, &s.accepted, &s.problem, &s.id, &s.trace}, more...)
}

// finish sets the fields of the entry. It reports whether there is one.
func (s *scanner) finish() bool {
	if s.seq == nil {
		return false
	}
	e := &s.entry
	e.Seq, e.State, e.Level = uint64(*s.seq), guance.State(*s.state), guance.Level(*s.level)
	e.Failed, e.Begun, e.Sticky = int(*s.failed), *s.begun, *s.sticky
	e.Kept, e.Time, e.Accepted = time.Duration(*s.kept), timeOf(s.time), timeOf(s.accepted)
	e.Problem, e.ID, e.Trace = string(s.problem), string(s.id), string(s.trace)
	return true
}

// header reads an entry without its body.
func (s *scanner) header(rows pgx.Rows) (*store.Entry, bool, error) {
	err := rows.Scan(s.dest()...)
	return &s.entry, err == nil && s.finish(), err
}

// whole reads an entry with its body.
func (s *scanner) whole(rows pgx.Rows) (*store.Entry, bool, error) {
	err := rows.Scan(s.dest(&s.entry.Body)...)
	return &s.entry, err == nil && s.finish(), err
}

// settlement reads a settlement without a body.
func (s *scanner) settlement(rows pgx.Rows) (st store.Settlement, ok bool, err error) {
	var reason []byte
	var at *int64
	var outcome int32
	err = rows.Scan(s.dest(&outcome, &reason, &at)...)
	ok = err == nil && s.finish()
	return store.Settlement{
		Entry: s.entry, Outcome: store.Outcome(outcome), Reason: string(reason), At: timeOf(at),
	}, ok, err
}

// letter reads a settlement with its body.
func (s *scanner) letter(rows pgx.Rows) (st store.Settlement, ok bool, err error) {
	var reason, body []byte
	var at *int64
	var outcome int32
	err = rows.Scan(s.dest(&outcome, &reason, &at, &body)...)
	ok = err == nil && s.finish()
	st = store.Settlement{
		Entry: s.entry, Outcome: store.Outcome(outcome), Reason: string(reason), At: timeOf(at),
	}
	st.Body = body
	return st, ok, err
}

// collect reads all rows.
func collect[T any](
	rows pgx.Rows, read func(*scanner, pgx.Rows) (T, bool, error),
) (found []T, err error) {
	defer rows.Close()
	for rows.Next() {
		v, ok, err := read(&scanner{}, rows)
		if err != nil {
			return nil, err
		}
		if ok {
			found = append(found, v)
		}
	}
	return found, rows.Err()
}

// text returns a name for a query. One that is no text is that of no lane.
func text(name string) string {
	if isText(name) {
		return name
	}
	return ""
}
