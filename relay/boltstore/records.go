package boltstore

import (
	"errors"
	"log/slog"
	"slices"
	"time"

	bolt "go.etcd.io/bbolt"

	"github.com/guance-relay/guance-relay/relay/store"
)

// How long records of problems are kept after they last changed, by the store's time, if nothing of the problem is pending or dead: those
// decide what may be sent, and so does the record then. Options.MaxRecords bounds their number besides.
const (
	// closedRecord: nothing is open at the target. The record still tells a late event from a new one, and senders that repeat a
	// webhook or deliver a queue of their own are minutes late.
	closedRecord = 24 * time.Hour
	// openRecord: the target shows a problem that may last weeks, and only the record makes its recovery go out when the trigger
	// is long forgotten. A problem whose recovery never comes must not stay for ever.
	openRecord = 30 * 24 * time.Hour
)

// lost counts the records of open problems that a commit forgot: the recoveries of those problems will not be sent.
type lost struct {
	number, age int    // for want of room, and because they were too old
	problem     string // one of them
}

// report says so in the log. A recovery that does not go out leaves an incident that somebody has to resolve by hand.
func (o *lost) report(log *slog.Logger, lane string) {
	if o.number > 0 {
		log.Error("boltstore: there are more records than MaxRecords: those of open problems were forgotten, and their recoveries will not be sent; "+
			"resolve them at the target, or raise MaxRecords", "lane", lane, "forgotten", o.number, "problem", o.problem)
	}
	if o.age > 0 {
		log.Warn("boltstore: problems had been open and had not changed for 30 days: their records were forgotten, and their recoveries will not be sent",
			"lane", lane, "forgotten", o.age, "problem", o.problem)
	}
}

func readRecord(records *bolt.Bucket, key []byte) (record, error) {
	v := records.Get(key)
	if v == nil {
		return record{}, nil
	}
	return decodeRecord(key, v)
}

// turns returns where the turn of a record stands.
func (l *lane) turns(r *record) *bolt.Bucket {
	if r.Open {
		return l.open
	}
	return l.closed
}

// apply brings the record of a mark's problem up to date.
func (l *lane) apply(m *store.Mark) error {
	key := recordKey(m.Problem)
	r, err := readRecord(l.records, key)
	if errors.Is(err, store.ErrDamaged) {
		r = record{Record: store.Record{Open: true}} // so that no recovery is taken for one of a problem that was never sent
	} else if err != nil {
		return err
	}
	l.marked++
	return l.putRecord(key, r, record{r.Apply(*m), l.commit.now})
}

// putRecord writes a record in the place of old, which may be that of no record, and moves its turn if that has changed.
func (l *lane) putRecord(key []byte, old, r record) error {
	l.commit.changed = true
	if err := l.records.Put(key, encodeRecord(key, r)); err != nil {
		return err
	}
	from, to := l.turns(&old), l.turns(&r)
	was, turn := old.turn(key), r.turn(key)
	had := old.changed != 0 && from.Get(was) != nil
	if had && from == to && slices.Equal(was, turn) {
		return nil
	}
	if had {
		l.remembered--
		if err := from.Delete(was); err != nil {
			return err
		}
	}
	if to.Get(turn) == nil {
		l.remembered++
	}
	return to.Put(turn, []byte{})
}

// forgetRecords deletes records that are too old and those above the bound, up to so many: closed ones first, then open ones, of each the
// ones that have not changed for the longest time.
func (l *lane) forgetRecords(look int) error {
	_, more, err := l.forgetTurns(l.closed, closedRecord, l.over(), look)
	if err != nil {
		return err
	}
	over := l.over()
	if more {
		over = 0 // the next commit goes on with those that are closed
	}
	gone, _, err := l.forgetTurns(l.open, openRecord, over, look)
	for _, d := range gone {
		l.lost.problem = string(d.turn[turnSize+len("p"):])
		if d.old {
			l.lost.age++
		} else {
			l.lost.number++
		}
	}
	return err
}

// over is how many records there are above the bound.
func (l *lane) over() int { return l.remembered - l.commit.store.opts.MaxRecords }

// A dueTurn is a record that is to be forgotten.
type dueTurn struct {
	turn []byte
	old  bool // by its age, whatever the number
}

// forgetTurns deletes the records that are too old and, of the others, as many as are over, but looks at no more than it may. It returns
// those that it did delete, and whether there are more that it has not looked at. The record of a problem that has something pending or dead
// goes to the end instead: it is looked at again when its time is over once more.
func (l *lane) forgetTurns(turns *bolt.Bucket, age time.Duration, over, look int) (gone []dueTurn, more bool, err error) {
	var due []dueTurn
	c := turns.Cursor()
	k, _ := c.First()
	for ; k != nil && len(due) < look; k, _ = c.Next() {
		old := l.commit.now-turnTime(k) > age+time.Second // a turn has the second that began before
		if !old && len(due) >= over {
			break
		}
		due = append(due, dueTurn{slices.Clone(k), old})
	}
	more = k != nil
	for _, d := range due {
		l.commit.changed = true
		key := d.turn[min(turnSize, len(d.turn)):]
		r, err := readRecord(l.records, key)
		switch {
		// A damaged record stays: whoever asks for it must learn of the damage. A turn that is not its record's was left over by damage.
		case err != nil, r.changed == 0, l.turns(&r) != turns, !slices.Equal(r.turn(key), d.turn):
			err = turns.Delete(d.turn)
			l.remembered--
		case l.problems[hashProblem(string(key[1:]))] > 0:
			held := r
			held.changed = l.commit.now
			err = l.putRecord(key, r, held)
		default:
			gone = append(gone, d)
			l.remembered--
			err = errors.Join(turns.Delete(d.turn), l.records.Delete(key))
		}
		if err != nil {
			return gone, more, err
		}
	}
	return gone, more, nil
}
