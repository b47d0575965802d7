package pgstore

import (
	"context"
	"crypto/sha256"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"

	"github.com/guance-relay/guance-relay/relay/store"
)

// Limits of an event. A problem key must fit into the index.
const (
	maxName    = 255
	maxProblem = 2048
	maxBody    = 64 << 20
)

// Append implements [store.Store]. The name of a lane has 1 to 255 bytes, that of a source at most
// 255, both of valid UTF-8 without a zero byte; a problem key has at most 2,048 bytes, and the body
// of an event at most 64 MiB. Append refuses other events. Times are kept from 1678 to 2262.
func (s *Store) Append(ctx context.Context, b *store.Batch) error {
	op := &appendOp{batch: b}
	for _, e := range b.Events {
		if err := op.examine(e); err != nil {
			return fmt.Errorf("pgstore: %w; nothing was kept", err)
		}
	}
	if len(b.Events) == 0 {
		return s.usable(ctx)
	}
	// The committer may use the batch after the caller has gone: it works on a copy.
	op.copy()
	if err := s.submit(ctx, &request{append: op}); err != nil {
		return err
	}
	for i, e := range b.Events {
		e.Duplicate, e.Placed = op.duplicate[i], op.placed[i]
	}
	return nil
}

// An appendOp is one call of Append.
type appendOp struct {
	batch *store.Batch
	lanes []string // that the events are offered to
	size  int
	// Set once the transaction is committed:
	duplicate []bool
	placed    [][]store.Placement
}

func (op *appendOp) bytes() int {
	if op == nil {
		return 0
	}
	return op.size
}

func (op *appendOp) examine(e *store.Event) error {
	for _, o := range offers(e) {
		if err := checkLane(o.Lane); err != nil {
			return err
		}
		op.lanes = append(op.lanes, o.Lane)
	}
	switch {
	case len(e.Source) > maxName || !isText(e.Source):
		return fmt.Errorf("the name of a source has %d bytes; at most %d of valid UTF-8 are allowed",
			len(e.Source), maxName)
	case len(e.Problem) > maxProblem:
		return fmt.Errorf("a problem key has %d bytes; at most %d are allowed",
			len(e.Problem), maxProblem)
	case len(e.Body) > maxBody:
		return fmt.Errorf("an event has %d bytes; at most %d are allowed", len(e.Body), maxBody)
	}
	op.size += len(e.Body) + len(e.Problem) + len(e.ID) + len(e.Trace)
	return nil
}

// offers returns the lanes that an event is offered to.
func offers(e *store.Event) []store.Offer {
	if len(e.Wanted) == 0 && e.Fallback != nil {
		return []store.Offer{*e.Fallback}
	}
	return e.Wanted
}

func checkLane(name string) error {
	if name == "" || len(name) > maxName || !isText(name) {
		return fmt.Errorf("the name of a lane has %d bytes; it must have 1 to %d of valid UTF-8",
			len(name), maxName)
	}
	return nil
}

func isText(s string) bool { return utf8.ValidString(s) && !strings.Contains(s, "\x00") }

func (op *appendOp) copy() {
	b := &store.Batch{
		Nonce: op.batch.Nonce, Served: slices.DeleteFunc(slices.Clone(op.batch.Served),
			func(name string) bool { return !isText(name) }),
		Events: make([]*store.Event, len(op.batch.Events)),
	}
	for i, e := range op.batch.Events {
		c := *e
		c.Wanted, c.Body = slices.Clone(e.Wanted), slices.Clone(e.Body)
		if e.Fallback != nil {
			f := *e.Fallback
			c.Fallback = &f
		}
		b.Events[i] = &c
	}
	op.batch = b
}

// An appended is the statement for the appends of a transaction, and its result.
type appended struct {
	ops   []*appendOp
	names []string
	args  []any

	clock    int64
	others   []*string // names beyond names
	events   []int32   // from 1, of all batches
	name     []int32   // from 1; 0: the event is a duplicate
	lanes    []int32
	seqs     []int64
	sticky   []bool
	outcomes []int32
}

const appendSQL = `select out_clock, out_names, out_event, out_name, out_lane, out_seq, out_sticky,
	out_outcome from append_events($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15,
	$16, $17, $18, $19, $20, $21, $22, $23, $24, $25, $26, $27, $28, $29, $30, $31, $32, $33, $34,
	$35)`

// A list has different values, each at a place from 1 on.
type list[T comparable] struct {
	values []T
	places map[T]int32
}

func (l *list[T]) place(v T) int32 {
	p, ok := l.places[v]
	if !ok {
		if l.places == nil {
			l.places = make(map[T]int32)
		}
		l.values = append(l.values, v)
		p = int32(len(l.values))
		l.places[v] = p
	}
	return p
}

type sourceID struct{ source, id string }

// encode builds the arguments of append_events. lanes are those that the transaction changes
// besides.
func (s *Store) encode(ops []*appendOp, lanes []int32) *appended {
	n := 0
	for _, op := range ops {
		n += len(op.batch.Events)
	}
	var (
		names, sources, problems list[string]
		nonces                   = make([]pgtype.UUID, len(ops))
		end, length              = make([]int32, len(ops)), make([]int32, len(ops))
		set                      = make([]int32, len(ops))
		sets, members            []int32
		batch, source, problem   = make([]int32, n), make([]int32, n), make([]int32, n)
		first, again             = make([]int32, n), make([]bool, n)
		hash                     = make([]pgtype.UUID, n)
		id, trace, body          = make([][]byte, n), make([][]byte, n), make([][]byte, n)
		state, level, size       = make([]int32, n), make([]int32, n), make([]int32, n)
		when, accepted           = make([]*int64, n), make([]*int64, n)
		offerCount               = make([]int32, n)
		fallback, follows        = make([]bool, n), make([]bool, n)
		offered                  []int32
		ignored                  [][]byte
		ids                      = make(map[sourceID]int32, n)
		last                     = make(map[int32]int, n) // event of each problem
		haveNonce                bool
	)
	i := 0
	for b, op := range ops {
		if op.batch.Nonce != "" {
			nonces[b], haveNonce = half(op.batch.Nonce), true
		}
		for _, e := range op.batch.Events {
			batch[i], source[i] = int32(b+1), sources.place(e.Source)
			problem[i] = problems.place(e.Problem)
			if before, ok := last[problem[i]]; ok {
				again[before] = true
			}
			last[problem[i]] = i
			first[i] = int32(i + 1)
			if e.ID != "" {
				hash[i] = half(e.ID)
				key := sourceID{e.Source, e.ID}
				if at, ok := ids[key]; ok {
					first[i] = at
				} else {
					ids[key] = first[i]
				}
			}
			id[i], trace[i], body[i] = []byte(e.ID), []byte(e.Trace), e.Body
			if body[i] == nil {
				body[i] = []byte{}
			}
			size[i] = int32(len(e.Body) + len(e.Problem) + len(e.ID) + len(e.Trace))
			state[i], level[i] = int32(e.State), int32(e.Level)
			when[i], accepted[i] = nanos(e.Time), nanos(e.Accepted)
			list := offers(e)
			offerCount[i], follows[i] = int32(len(list)), e.Follows
			fallback[i] = len(e.Wanted) == 0
			for _, o := range list {
				var reason []byte
				if o.Ignored != "" {
					reason = []byte(o.Ignored)
				}
				offered, ignored = append(offered, names.place(o.Lane)), append(ignored, reason)
			}
			i++
		}
		end[b], length[b] = int32(i), int32(len(op.batch.Events))
	}
	named := len(names.values)
	for b, op := range ops {
		if b > 0 && slices.Equal(op.batch.Served, ops[b-1].batch.Served) {
			set[b] = set[b-1]
			continue
		}
		set[b] = int32(b + 1)
		for _, name := range op.batch.Served {
			sets, members = append(sets, set[b]), append(members, names.place(name))
		}
	}
	if !haveNonce {
		nonces = nil
	}
	if names.values == nil {
		names.values = []string{} // nil is null
	}
	keys := make([][]byte, len(problems.values))
	for i, p := range problems.values {
		keys[i] = []byte(p)
	}
	o := &s.opts
	return &appended{ops: ops, names: names.values, args: []any{
		int64(o.MaxLaneEntries), int64(o.MaxEntries), o.MaxBytes, int64(o.Remembered),
		int64(s.clock.now()), lanes, named, names.values, sources.values, keys, sets, members,
		nonces, end, length, set,
		batch, source, problem, first, again, hash, id, state, level, when, accepted, trace, body, size,
		offerCount, fallback, follows, offered, ignored,
	}}
}

// half is the first half of the SHA-256 of an ID or nonce.
func half(id string) pgtype.UUID {
	sum := sha256.Sum256([]byte(id))
	return pgtype.UUID{Bytes: [16]byte(sum[:16]), Valid: true}
}

func (a *appended) scan(results pgx.BatchResults) error {
	return results.QueryRow().Scan(&a.clock, &a.others, &a.events, &a.name, &a.lanes, &a.seqs,
		&a.sticky, &a.outcomes)
}

// publish tells the callers what became of their events, and wakes readers.
func (s *Store) publish(a *appended, sent time.Time) {
	s.clock.observe(time.Duration(a.clock), sent)
	type event struct {
		op    *appendOp
		index int
	}
	var events []event
	for _, op := range a.ops {
		op.duplicate = make([]bool, len(op.batch.Events))
		op.placed = make([][]store.Placement, len(op.batch.Events))
		for i := range op.batch.Events {
			events = append(events, event{op, i})
		}
	}
	arrived := make(map[int32]bool)
	for i, number := range a.events {
		e := events[number-1]
		if a.name[i] == 0 {
			e.op.duplicate[e.index] = true
			continue
		}
		var lane string
		if n := int(a.name[i]) - 1; n < len(a.names) {
			lane = a.names[n]
		} else {
			lane = *a.others[n-len(a.names)]
		}
		e.op.placed[e.index] = append(e.op.placed[e.index], store.Placement{
			Lane: lane, Seq: uint64(a.seqs[i]), Sticky: a.sticky[i],
			Outcome: store.Outcome(a.outcomes[i]),
		})
		if a.outcomes[i] == 0 && a.lanes[i] != 0 {
			arrived[a.lanes[i]] = true
		}
	}
	for _, e := range events {
		slices.SortStableFunc(e.op.placed[e.index], func(a, b store.Placement) int {
			if !a.Sticky || !b.Sticky {
				return 0
			}
			return strings.Compare(a.Lane, b.Lane)
		})
	}
	for lane := range arrived {
		if !s.arrived(lane) {
			s.notices.add(noticeArrived, lane)
		}
	}
}

// nanos returns a time as the database has it: nil for the zero time.
func nanos(t time.Time) *int64 {
	if t.IsZero() {
		return nil
	}
	n := t.UnixNano()
	switch year := t.UTC().Year(); {
	case year < 1678:
		n = math.MinInt64
	case year > 2261:
		n = math.MaxInt64
	}
	return &n
}

func timeOf(n *int64) time.Time {
	if n == nil {
		return time.Time{}
	}
	return time.Unix(0, *n).UTC()
}
