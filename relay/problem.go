package relay

import (
	"crypto/sha256"
	"time"

	"github.com/guance-relay/guance-relay/guance"
	"github.com/guance-relay/guance-relay/relay/store"
)

// A problemID stands for a problem key in memory. A backlog may hold a million of them, and two that met would share one order and
// cancel each other, so it is a cryptographic hash of 128 bits rather than the key or a fast hash.
type problemID [16]byte

func idOf(key string) (id problemID) {
	sum := sha256.Sum256([]byte(key))
	copy(id[:], sum[:])
	return id
}

// An item is what a schedule remembers of an entry: numbers only, as the rest is on disk and a backlog may be long.
type item struct {
	seq    uint64
	time   int64 // event time in Unix nanoseconds, 0 if unknown
	kept   int64 // Entry.Kept in nanoseconds, never 0
	failed int32 // attempts that counted
	state  uint8
	level  int8
	begun  bool // it may have been on the wire
	doubt  bool // Mark.Doubt of every mark from now on
}

func itemOf(e *store.Entry) item {
	return item{
		seq: e.Seq, time: nanos(e.Time), kept: max(int64(e.Kept), 1), failed: int32(e.Failed),
		state: uint8(e.State), level: int8(e.Level), begun: e.Begun,
	}
}

// mark returns a mark of the item. When it was made is for the lane to say, as that is wall time.
func (i *item) mark(problem string, o store.Outcome, reason string) store.Mark {
	return store.Mark{
		Seq: i.seq, Problem: problem, State: guance.State(i.state), Level: guance.Level(i.level), Time: moment(i.time),
		Failed: int(i.failed), Doubt: i.doubt, Outcome: o, Reason: reason,
	}
}

// nanos and moment turn times into numbers and back; the zero time is 0.
func nanos(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixNano()
}

func moment(ns int64) time.Time {
	if ns == 0 {
		return time.Time{}
	}
	return time.Unix(0, ns).UTC()
}

// A problem is one problem's unsettled entries, in sequence; only the first can have been on the wire. Most have no other, and were not tried
// yet: what goes beyond that is in the tail.
type problem struct {
	id    problemID
	first item // of no sequence number: there is none

	// What the store remembers; see Record.
	sent   uint64 // Record.Seq
	newest int64  // newest event time accepted, which is never before Record.Time

	lives uint32 // breaker.lives at the last failure
	at    int32  // place in the heap of its stage, from 1; 0: in none
	tail  ref
	shown int8 // Record.Shown
	open  bool // Record.Open
	stage stage
	rank  rank // as of when it was put into a heap
}

// A tail is what a problem has besides.
type tail struct {
	queue     []item // entries after the first
	notBefore int64  // backing off or set aside until then; 0: not
	counting  int64  // when the first entry first failed in a way that counts; 0: it did not
	tries     uint16 // failures of the first entry in a row, for the backoff; those that count are in the item
	row       uint16 // the same, and not forgiven when the target is back
	at        int32  // place among those that back off by age, from 1; 0: not there
	atStuck   int32  // place among what is stuck, likewise
	doubt     bool   // Record.Doubt
	said      bool   // the first entry is a recovery that was taken, and is sent once more as the problem is in doubt
}

func (t *tail) empty() bool {
	return len(t.queue) == 0 && t.notBefore == 0 && t.counting == 0 && t.tries == 0 && t.row == 0 && !t.doubt && !t.said
}

// renew forgets what is of the first entry alone.
func (t *tail) renew() { t.counting, t.tries, t.row, t.said = 0, 0, 0, false }

// A stage is what a problem waits for.
type stage uint8

const (
	due      stage = iota // its turn
	later                 // the end of its backoff, or the time to be sent once more
	aside                 // the same, as the store cannot read its first entry
	inFlight              // the end of an attempt, or of being settled
)

func (ps *problems) remember(p *problem, r store.Record) {
	p.sent, p.open, p.shown = r.Seq, r.Open, int8(r.Shown)
	p.newest = max(p.newest, nanos(r.Time))
	if r.Doubt || p.tail != 0 {
		ps.grow(p).doubt = r.Doubt
	}
}

// apply follows what the store will remember after m.
func (ps *problems) apply(p *problem, m store.Mark) {
	known := store.Record{Seq: p.sent, Open: p.open, Shown: guance.Level(p.shown), Doubt: ps.tail(p).doubt, Time: moment(p.newest)}
	ps.remember(p, known.Apply(m))
}

// A rank says how bad the news of a problem is, the worst the highest. The class decides, within a class the level, and then the order of arrival.
type rank uint8

const (
	classRepeat     = iota // the same again, and what says nothing of the problem
	classEscalation        // another level of one that it shows
	classRecovery          // the end of one that it may show
	classNews              // a problem that the target does not show yet
	classes

	levels = int(guance.LevelFatal) + 1
	// Whatever failed stubborn times in a row has a lower rank than all that did not: it goes when nothing else can, or as the one that has
	// waited longest. Two poison events would otherwise take every probe of a target that is not down, and every new problem would wait.
	stubborn = 3
	ranks    = 2 * classes * levels
)

// rate returns the rank of a problem. What waits in front of worse news of its problem stands in its way, and so takes its rank. An every
// lane has long queues, and there the first entry speaks for itself.
func (ps *problems) rate(p *problem, every bool) rank {
	t := ps.tail(p)
	class, worst, shown := classRepeat, 0, guance.Level(p.shown)
	take := func(it *item) {
		level := guance.Level(it.level)
		worst = max(worst, min(int(level), levels-1))
		switch guance.State(it.state) {
		case guance.StateRecovered:
			class, shown = max(class, classRecovery), guance.LevelNone
		case guance.StateProblem:
			switch shown {
			case guance.LevelNone:
				class = classNews
			case level:
			default:
				class = max(class, classEscalation)
			}
			shown = level
		}
	}
	if t.said { // the target has it: it is the same again
		shown = guance.LevelNone
	} else {
		take(&p.first)
	}
	for i := range t.queue {
		if every {
			break
		}
		take(&t.queue[i])
	}
	r := class*levels + worst
	if t.tries < stubborn {
		r += classes * levels
	}
	return rank(r)
}
