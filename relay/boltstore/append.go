package boltstore

import (
	"context"
	"fmt"
	"time"

	"github.com/guance-relay/guance-relay/relay/store"
)

const (
	maxLaneName = 255
	maxProblem  = 4096 // the contract says 255; a key of 32 KiB would fail the commit of all others
	maxBody     = 64 << 20
)

// A newEntry is an entry on its way into the file. It is encoded by the caller, so that the committer need not.
type newEntry struct {
	*store.Entry
	header  []byte
	hash    hash
	problem uint32
}

func (n *newEntry) size() uint32 { return uint32(len(n.header) + len(n.Body)) }

// Append implements [store.Store].
func (s *Store) Append(ctx context.Context, entries []*store.Entry) error {
	fresh := make([]newEntry, len(entries))
	j := &job{}
	for i, e := range entries {
		switch {
		case e.Lane == "" || len(e.Lane) > maxLaneName:
			return fmt.Errorf("boltstore: a lane's name has 1 to %d bytes, not %d; nothing was kept", maxLaneName, len(e.Lane))
		case len(e.Problem) > maxProblem:
			return fmt.Errorf("boltstore: a problem key has %d bytes, and %d are allowed; nothing was kept", len(e.Problem), maxProblem)
		case len(e.Body) > maxBody:
			return fmt.Errorf("boltstore: an event has %d bytes, and %d are allowed; nothing was kept", len(e.Body), maxBody)
		}
		n := newEntry{Entry: e, header: encodeHeader(e), problem: hashProblem(e.Problem)}
		if e.ID != "" {
			n.hash = hashID(e.ID)
		}
		fresh[i] = n
		j.bytes += int64(n.size())
	}
	seqs := make([]uint64, len(entries))
	var kept time.Duration
	var add []int // the entries that are not duplicates
	j.check = func(c *commit) error {
		add = add[:0]
		pending, bytes := 0, int64(0)
		var here map[event]bool
		for i := range fresh {
			n := &fresh[i]
			if n.ID != "" {
				ev := event{n.Lane, n.hash}
				if c.knows(ev) || here[ev] {
					continue
				}
				if len(fresh) > 1 {
					if here == nil {
						here = make(map[event]bool, len(fresh))
					}
					here[ev] = true
				}
			}
			add = append(add, i)
			if n.Ignored == "" {
				pending++
				bytes += int64(n.size())
			}
		}
		if pending == 0 {
			return nil
		}
		return s.full(pending, bytes)
	}
	j.write = func(c *commit) error {
		kept = c.now
		for _, i := range add {
			l, err := c.lane(fresh[i].Lane, true)
			if err != nil {
				return err
			}
			if seqs[i], err = l.append(&fresh[i]); err != nil {
				return err
			}
		}
		return nil
	}
	j.after = func() {
		for i, e := range entries {
			if e.Seq = seqs[i]; e.Seq != 0 {
				e.Kept = kept
			}
		}
	}
	return s.submit(ctx, j)
}

// An event is what a duplicate is recognised by.
type event struct {
	lane string
	id   hash
}

// knows reports whether the lane has seen an event.
func (c *commit) knows(ev event) bool {
	l := c.store.books.lanes[ev.lane]
	return l != nil && l.window.has(ev.id)
}
