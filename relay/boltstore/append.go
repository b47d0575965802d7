package boltstore

import (
	"context"
	"fmt"
	"time"

	"github.com/guance-relay/guance-relay/relay/store"
)

// Limits of an entry. The contract allows problem keys of 255 bytes; one of 32 KiB would exceed
// bbolt's limit and fail the commit of all others.
const (
	maxLaneName = 255
	maxProblem  = 4096
	maxBody     = 64 << 20
)

// Append implements [store.Store]. The name of a lane has 1 to 255 bytes, a problem key at most
// 4,096, and the body of an event at most 64 MiB. Append refuses other entries.
func (s *Store) Append(ctx context.Context, entries []*store.Entry) error {
	op := &appendOp{entries: make([]newEntry, len(entries))}
	for i, e := range entries {
		var err error
		if op.entries[i], err = makeEntry(e); err != nil {
			return err
		}
		op.size += int64(op.entries[i].size())
	}
	return s.submit(ctx, op)
}

// An appendOp adds the entries of one call.
type appendOp struct {
	entries []newEntry
	size    int64
	kept    time.Duration
}

// A newEntry is an entry that is not in the file yet. The caller encodes its header, so that the
// committer need not.
type newEntry struct {
	*store.Entry
	header    []byte
	id        hash // of the ID; zero if there is none
	problem   uint32
	duplicate bool
	seq       uint64 // 0: it is a duplicate
}

func makeEntry(e *store.Entry) (newEntry, error) {
	var limit error
	switch {
	case e.Lane == "" || len(e.Lane) > maxLaneName:
		limit = fmt.Errorf("the name of a lane has %d bytes; it must have 1 to %d",
			len(e.Lane), maxLaneName)
	case len(e.Problem) > maxProblem:
		limit = fmt.Errorf("a problem key has %d bytes; at most %d are allowed",
			len(e.Problem), maxProblem)
	case len(e.Body) > maxBody:
		limit = fmt.Errorf("an event has %d bytes; at most %d are allowed", len(e.Body), maxBody)
	}
	if limit != nil {
		return newEntry{}, fmt.Errorf("boltstore: %w; nothing was kept", limit)
	}
	n := newEntry{Entry: e, header: encodeHeader(e), problem: hashProblem(e.Problem)}
	if e.ID != "" {
		n.id = hashID(e.ID)
	}
	return n, nil
}

// size returns how many bytes of the file count for the entry.
func (n *newEntry) size() uint32 { return uint32(len(n.header) + len(n.Body)) }

func (op *appendOp) bytes() int64 { return op.size }

// check finds the duplicates and refuses the others if they would exceed a bound.
func (op *appendOp) check(c *commit) error {
	pending, bytes := 0, int64(0)
	var earlier map[event]bool // events of this call
	if len(op.entries) > 1 {
		earlier = make(map[event]bool, len(op.entries))
	}
	for i := range op.entries {
		n := &op.entries[i]
		n.duplicate, n.seq = false, 0
		if n.ID != "" {
			ev := event{n.Lane, n.id}
			if n.duplicate = c.remembers(ev) || earlier[ev]; n.duplicate {
				continue
			}
			if earlier != nil {
				earlier[ev] = true
			}
		}
		if n.Ignored == "" {
			pending++
			bytes += int64(n.size())
		}
	}
	if pending == 0 {
		return nil
	}
	return c.store.full(pending, bytes)
}

func (op *appendOp) write(c *commit) error {
	op.kept = c.now
	for i := range op.entries {
		n := &op.entries[i]
		if n.duplicate {
			continue
		}
		l, err := c.lane(n.Lane, true)
		if err != nil {
			return err
		}
		if n.seq, err = l.append(n); err != nil {
			return err
		}
	}
	return nil
}

// durable tells the caller the sequence numbers.
func (op *appendOp) durable() {
	for i := range op.entries {
		n := &op.entries[i]
		if n.Seq = n.seq; n.Seq != 0 {
			n.Kept = op.kept
		}
	}
}

// usualEvent is the space that Check needs: few events have more bytes.
const usualEvent = 64 << 10

// Check implements [store.Store].
func (s *Store) Check(ctx context.Context) error { return s.submit(ctx, checkOp{}) }

// A checkOp finds out whether an append would succeed.
type checkOp struct{ noOperation }

func (checkOp) check(c *commit) error {
	if err := c.store.inPlace(); err != nil {
		return err
	}
	if err := c.store.full(1, 0); err != nil {
		return err
	}
	return c.store.reserve(usualEvent)
}

// full returns [store.ErrFull] if so many more pending entries and bytes would exceed a bound. The
// committer calls it.
func (s *Store) full(entries int, bytes int64) error {
	if n := s.index.pending; n+entries > s.opts.MaxEntries {
		return fmt.Errorf("boltstore: %d entries are pending; at most %d are allowed: %w",
			n, s.opts.MaxEntries, store.ErrFull)
	}
	if n := s.index.bytes; n+bytes > s.opts.MaxBytes {
		return fmt.Errorf("boltstore: %d bytes are pending; at most %d are allowed: %w",
			n, s.opts.MaxBytes, store.ErrFull)
	}
	return nil
}

// append adds an entry that is not a duplicate and returns its sequence number.
func (l *laneTx) append(n *newEntry) (uint64, error) {
	l.seq++
	l.commit.changed = true
	if n.ID != "" {
		l.window.add(n.id, l.opts().Remembered)
		l.newIDs = append(l.newIDs, n.id)
	}
	now := l.commit.now
	if n.Ignored != "" {
		s := settlement{l.seq, store.Ignored, n.Accepted, now, now, n.header, n.Ignored}
		return l.seq, l.addSettlement(s)
	}
	p := progress{seq: l.seq, problem: n.problem, size: n.size()}
	l.appended = append(l.appended, segmentEntry{p, now, n.header, n.Body})
	l.countPending(&p, 1)
	l.arrived = true
	return l.seq, nil
}
