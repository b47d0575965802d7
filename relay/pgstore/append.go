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
	offers := e.Wanted
	if len(offers) == 0 && e.Fallback != nil {
		offers = []store.Offer{*e.Fallback}
	}
	for _, o := range offers {
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
	ops  []*appendOp
	args []any

	clock    int64
	batches  []int32
	events   []int32
	names    []*string
	lanes    []int32
	seqs     []int64
	sticky   []bool
	outcomes []int32
}

const appendSQL = `select out_clock, out_batch, out_event, out_name, out_lane, out_seq, out_sticky,
	out_outcome from append_events($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15,
	$16, $17, $18, $19, $20, $21, $22, $23, $24, $25, $26, $27, $28)`

// A newEvent is an event with its place in the transaction.
type newEvent struct {
	*store.Event
	batch, index int32
	round        int
}

type sourceID struct{ source, id string }

// encode builds the arguments. It sorts the events into rounds: an event comes in a later round
// than those before it that have its problem or its ID, and not before an earlier one of its batch.
func (s *Store) encode(ops []*appendOp) *appended {
	var events []newEvent
	problems, ids := make(map[string]int), make(map[sourceID]int)
	sorted := true
	last := 0
	for i, op := range ops {
		round := 1
		for j, e := range op.batch.Events {
			round = max(round, problems[e.Problem]+1)
			if e.ID != "" {
				id := sourceID{e.Source, e.ID}
				round = max(round, ids[id]+1)
				ids[id] = round
			}
			problems[e.Problem] = round
			events = append(events, newEvent{e, int32(i + 1), int32(j), round})
			sorted = sorted && round >= last
			last = round
		}
	}
	if !sorted {
		slices.SortStableFunc(events, func(a, b newEvent) int { return a.round - b.round })
	}
	n := len(events)
	var (
		nonces           [][]byte
		servedBatch      []int32
		served           []string
		first, end       []int32
		batch, index     = make([]int32, n), make([]int32, n)
		source           = make([]string, n)
		hash             = make([]pgtype.UUID, n)
		id, problem      = make([][]byte, n), make([][]byte, n)
		state, level     = make([]int32, n), make([]int32, n)
		when, accepted   = make([]*int64, n), make([]*int64, n)
		trace, body      = make([][]byte, n), make([][]byte, n)
		size             = make([]int32, n)
		offered          []int32
		offeredName      []string
		ignored          [][]byte
		fallback         []bool
		follows          []bool
		haveNonce, round = false, 0
		fallbacks        = false
		addOffer         = func(event int, o store.Offer, isFallback bool) {
			offered, offeredName = append(offered, int32(event+1)), append(offeredName, o.Lane)
			var reason []byte
			if o.Ignored != "" {
				reason = []byte(o.Ignored)
			}
			ignored, fallback = append(ignored, reason), append(fallback, isFallback)
			follows = append(follows, events[event].Follows)
			fallbacks = fallbacks || isFallback
		}
	)
	for i, e := range events {
		if e.round != round {
			first, end = append(first, int32(i+1)), append(end, 0)
			round = e.round
		}
		end[len(end)-1] = int32(i + 1)
		batch[i], index[i], source[i] = e.batch, e.index, e.Source
		if e.ID != "" {
			sum := sha256.Sum256([]byte(e.ID))
			hash[i] = pgtype.UUID{Bytes: [16]byte(sum[:16]), Valid: true}
		}
		id[i], problem[i], trace[i], body[i] = []byte(e.ID), []byte(e.Problem), []byte(e.Trace), e.Body
		if body[i] == nil {
			body[i] = []byte{}
		}
		size[i] = int32(len(e.Body) + len(e.Problem) + len(e.ID) + len(e.Trace))
		state[i], level[i] = int32(e.State), int32(e.Level)
		when[i], accepted[i] = nanos(e.Time), nanos(e.Accepted)
		for _, o := range e.Wanted {
			addOffer(i, o, false)
		}
		if len(e.Wanted) == 0 && e.Fallback != nil {
			addOffer(i, *e.Fallback, true)
		}
	}
	for i, op := range ops {
		var nonce []byte
		if op.batch.Nonce != "" {
			nonce, haveNonce = []byte(op.batch.Nonce), true
		}
		nonces = append(nonces, nonce)
		for _, name := range op.batch.Served {
			servedBatch, served = append(servedBatch, int32(i+1)), append(served, name)
		}
	}
	if !haveNonce {
		nonces = nil
	}
	o := &s.opts
	return &appended{ops: ops, args: []any{
		int64(o.MaxLaneEntries), int64(o.MaxEntries), o.MaxBytes, int64(o.Remembered),
		int64(s.clock.now()), nonces, servedBatch, served, first, end, batch, index, source, hash, id,
		problem, state, level, when, accepted, trace, body, size, offered, offeredName, ignored, fallback,
		follows,
	}}
}

func (a *appended) scan(results pgx.BatchResults) error {
	return results.QueryRow().Scan(&a.clock, &a.batches, &a.events, &a.names, &a.lanes, &a.seqs,
		&a.sticky, &a.outcomes)
}

// publish tells the callers what became of their events, and wakes readers.
func (s *Store) publish(a *appended, sent time.Time) {
	s.clock.observe(time.Duration(a.clock), sent)
	for _, op := range a.ops {
		op.duplicate = make([]bool, len(op.batch.Events))
		op.placed = make([][]store.Placement, len(op.batch.Events))
	}
	arrived := make(map[int32]bool)
	for i, batch := range a.batches {
		op, event := a.ops[batch-1], int(a.events[i])
		if event >= len(op.placed) {
			continue // the nonce was used for a larger batch
		}
		if a.names[i] == nil {
			op.duplicate[event] = true
			continue
		}
		op.placed[event] = append(op.placed[event], store.Placement{
			Lane: *a.names[i], Seq: uint64(a.seqs[i]), Sticky: a.sticky[i],
			Outcome: store.Outcome(a.outcomes[i]),
		})
		if a.outcomes[i] == 0 {
			arrived[a.lanes[i]] = true
		}
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
