package schedule

import (
	"crypto/sha256"

	"github.com/guance-relay/guance-relay/guance"
	"github.com/guance-relay/guance-relay/relay/store"
)

// A problemID stands for a problem key in memory. It is a cryptographic hash of 128 bits: with a
// collision, two of a million problems would share one order and cancel each other.
type problemID [16]byte

func idOf(key string) (id problemID) {
	sum := sha256.Sum256([]byte(key))
	copy(id[:], sum[:])
	return id
}

// A problem holds the pending entries of one problem, in sequence. Only the first can have been
// sent. Most problems have one entry that was not tried yet; the rest is in the extra.
type problem struct {
	id    problemID
	first item // Seq 0: the queue is empty

	// From the store, see Record.
	sent   uint64 // Record.Seq
	newest int64  // newest event time accepted, never before Record.Time

	successes uint32 // breaker.successes at the last failure
	at        int32  // place in the heap of its stage, from 1; 0: in none
	extra     ref
	shown     int8 // Record.Shown
	open      bool // Record.Open
	stage     stage
	rank      rank // when it became due; later: its highest level, when it was put into byAge
}

// waits reports whether the problem has a pending entry.
func (p *problem) waits() bool { return p.first.seq != 0 }

func (ps *problems) remember(p *problem, r store.Record) {
	p.sent, p.open, p.shown = r.Seq, r.Open, int8(r.Shown)
	p.newest = max(p.newest, nanos(r.Time))
	if r.Doubt || p.extra != 0 {
		ps.setDoubt(p, r.Doubt)
	}
}

// setDoubt notes whether an answer of the problem was lost, see Record.Doubt.
func (ps *problems) setDoubt(p *problem, doubt bool) {
	x := ps.ensureExtra(p)
	switch {
	case doubt && !x.doubt:
		ps.doubts++
	case !doubt && x.doubt:
		ps.doubts--
	}
	x.doubt = doubt
}

// apply updates what the store will remember of a problem after m.
func (ps *problems) apply(p *problem, m store.Mark) {
	known := store.Record{
		Seq: p.sent, Open: p.open, Shown: guance.Level(p.shown), Doubt: ps.extra(p).doubt,
	}
	ps.remember(p, known.Apply(m))
}
