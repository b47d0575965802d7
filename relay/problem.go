package relay

import (
	"crypto/sha256"
	"slices"
	"time"

	"github.com/guance-relay/guance-relay/guance"
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
	seq      uint64
	time     int64 // event time in Unix nanoseconds, 0 if unknown
	accepted int64 // Unix nanoseconds
	failed   int32 // attempts that counted
	state    uint8
	level    int8
	begun    bool // it may have been on the wire
}

func itemOf(e *Entry) item {
	return item{
		seq: e.Seq, time: nanos(e.Time), accepted: nanos(e.Accepted), failed: int32(e.Failed),
		state: uint8(e.State), level: int8(e.Level), begun: e.Begun,
	}
}

func (i *item) mark(problem string, o Outcome, reason string, at time.Time) Mark {
	return Mark{
		Seq: i.seq, Problem: problem, State: guance.State(i.state), Level: guance.Level(i.level), Time: moment(i.time),
		Failed: int(i.failed), Outcome: o, Reason: reason, At: at,
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

// A problem is one problem's unsettled entries, in sequence; only the first can have been on the wire.
type problem struct {
	id    problemID
	queue []item

	// What the store remembers; see Record.
	sent   uint64 // Record.Seq
	newest int64  // newest event time accepted, which is never before Record.Time
	shown  int8
	open   bool

	aside     bool   // the store cannot read the first entry
	busy      bool   // the first entry is in flight or being settled
	rank      int16  // as of the last call of schedule.place
	tries     uint16 // failures of the first entry in a row, for the backoff; those that count are in the item
	lives     uint32 // breaker.lives at the last failure
	notBefore int64  // backing off until then; 0: not
	at        [heaps]int32
}

func (p *problem) remember(r Record) {
	p.sent, p.open, p.shown = r.Seq, r.Open, int8(r.Shown)
	p.newest = max(p.newest, nanos(r.Time))
}

// apply follows what the store will remember after m.
func (p *problem) apply(m Mark) {
	p.remember(Record{Seq: p.sent, Open: p.open, Shown: guance.Level(p.shown), Time: moment(p.newest)}.Apply(m))
}

// supersede takes every entry out of the queue that was never on the wire and returns them.
func (p *problem) supersede() (gone []item) {
	kept := p.queue[:0]
	for _, it := range p.queue {
		if it.begun {
			kept = append(kept, it)
		} else {
			gone = append(gone, it)
		}
	}
	p.queue = kept
	return gone
}

func (p *problem) drop() { p.queue = slices.Delete(p.queue, 0, 1) }

// Classes of ranks, the worst news first. Within a class, the level decides, and then the order of arrival.
const (
	rankNews       = 300 // a problem that the target does not show yet
	rankRecovery   = 200 // the end of one that it may show
	rankEscalation = 100 // another level of one that it shows
	rankRepeat     = 0   // the same again, and what says nothing of the problem
	// rankStubborn is added to the rank of a problem that failed stubborn times in a row: it goes when nothing else can, or as the one that has
	// waited longest. Two poison events would otherwise take every probe of a target that is not down, and every new problem would wait.
	rankStubborn = -1000
	stubborn     = 3
)

// rate sets the rank. What waits in front of worse news of its problem stands in its way, and so takes its rank. An every lane has long
// queues, and there the first entry speaks for itself.
func (p *problem) rate(every bool) {
	class, level, shown := rankRepeat, int8(guance.LevelNone), p.shown
	for i := range p.queue {
		it := &p.queue[i]
		level = max(level, it.level)
		switch guance.State(it.state) {
		case guance.StateRecovered:
			class, shown = max(class, rankRecovery), int8(guance.LevelNone)
		case guance.StateProblem:
			switch shown {
			case int8(guance.LevelNone):
				class = rankNews
			case it.level:
			default:
				class = max(class, rankEscalation)
			}
			shown = it.level
		}
		if every {
			break
		}
	}
	p.rank = int16(class) + int16(level)
	if p.tries >= stubborn {
		p.rank += rankStubborn
	}
}
