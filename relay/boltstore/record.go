package boltstore

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"math"
	"slices"
	"time"

	bolt "go.etcd.io/bbolt"

	"github.com/guance-relay/guance-relay/guance"
	"github.com/guance-relay/guance-relay/relay/store"
)

// A record is what the store remembers of a problem, with the store's time of its last change.
//
//	last     uvarint
//	seq      uvarint
//	open     byte
//	shown    varint
//	doubt    byte
//	time     time
//	at       time
//	changed  clock
type record struct {
	store.Record
	changed time.Duration
}

func encodeRecord(key []byte, r record) []byte {
	b := make([]byte, 4, 64)
	b = binary.AppendUvarint(b, r.Last)
	b = binary.AppendUvarint(b, r.Seq)
	b = appendBool(b, r.Open)
	b = binary.AppendVarint(b, int64(r.Shown))
	b = appendBool(b, r.Doubt)
	b = appendTime(b, r.Time)
	b = appendTime(b, r.At)
	b = appendClock(b, r.changed)
	return seal(key, b)
}

func decodeRecord(key, value []byte) (record, error) {
	b, err := unseal("record", key, value)
	if err != nil {
		return record{}, err
	}
	d := decoder{b: b}
	r := record{Record: store.Record{
		Last: d.uvarint(), Seq: d.uvarint(), Open: d.byte() == 1,
		Shown: guance.Level(d.varint()), Doubt: d.byte() == 1, Time: d.time(), At: d.time(),
	}, changed: d.clock()}
	if d.bad {
		return record{}, damaged("record", key)
	}
	return r, nil
}

// recordKey is the key of a problem's record. The prefix is for a problem with an empty key.
func recordKey(problem string) []byte { return append([]byte("p"), problem...) }

// keyProblem returns the hash of a record's problem.
func keyProblem(key []byte) uint64 { return hashProblem(string(key[min(len("p"), len(key)):])) }

// agePrefix is the size of an age key without the key of the record.
const agePrefix = 4

// ageKey is the key of the record in the bucket "closed" or "open": the second of its last
// change, big-endian, and its own key. With whole seconds, the key stays when an attempt begins and
// ends within one second.
func (r *record) ageKey(key []byte) []byte {
	seconds := min(r.changed/time.Second, math.MaxUint32)
	return append(binary.BigEndian.AppendUint32(nil, uint32(seconds)), key...)
}

// ageRecord returns the key of the record of an age key.
func ageRecord(ageKey []byte) []byte { return ageKey[min(agePrefix, len(ageKey)):] }

// ageKeyTime returns when the record of an age key changed, to the second.
func ageKeyTime(ageKey []byte) time.Duration {
	if len(ageKey) < agePrefix {
		return 0
	}
	return time.Duration(binary.BigEndian.Uint32(ageKey)) * time.Second
}

func readRecord(records *bolt.Bucket, key []byte) (record, error) {
	v := records.Get(key)
	if v == nil {
		return record{}, nil
	}
	return decodeRecord(key, v)
}

// Records implements [store.Lane].
func (l *ownedLane) Records(ctx context.Context, problems []string) ([]store.Record, error) {
	if _, err := l.owned(ctx); err != nil {
		return nil, err
	}
	records := make([]store.Record, len(problems))
	err := l.store.viewLane(l.name, func(b *bolt.Bucket, _ string) error {
		b = b.Bucket(recordsPart)
		for i, problem := range problems {
			r, err := readRecord(b, recordKey(problem))
			if err != nil {
				return err
			}
			records[i] = r.Record
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return records, nil
}

// OpenProblems implements [store.Store]. The problem whose record has not changed for the longest
// time is the first. A page begins with an age key.
func (s *Store) OpenProblems(ctx context.Context, lane, from string, limit int) (
	open []store.OpenProblem, next string, err error,
) {
	if err := s.usable(ctx); err != nil {
		return nil, "", err
	}
	err = s.viewLane(lane, func(b *bolt.Bucket, _ string) error {
		records, c := b.Bucket(recordsPart), b.Bucket(openPart).Cursor()
		for k, _ := c.Seek([]byte(from)); k != nil; k, _ = c.Next() {
			if len(open) == limit {
				next = string(k)
				return nil
			}
			key := ageRecord(k)
			r, err := readRecord(records, key)
			if errors.Is(err, store.ErrDamaged) {
				r.Record = store.Record{Open: true}
			} else if err != nil {
				return err
			} else if !r.Open || !slices.Equal(r.ageKey(key), k) {
				continue // damage has left the age key over
			}
			open = append(open, store.OpenProblem{
				Problem: string(key[min(len("p"), len(key)):]), Record: r.Record,
			})
		}
		return nil
	})
	if err != nil {
		return nil, "", err
	}
	return open, next, nil
}

// updateRecord brings the record of a mark's problem up to date.
func (l *laneTx) updateRecord(m *store.Mark) error {
	key := recordKey(m.Problem)
	r, err := readRecord(l.part(recordsPart), key)
	if errors.Is(err, store.ErrDamaged) {
		// The problem counts as open, so that its recovery is sent.
		r, err = record{Record: store.Record{Open: true}}, l.deleteAges(key)
	}
	if err != nil {
		return err
	}
	l.written++
	return l.putRecord(key, r, record{r.Apply(*m), l.commit.now})
}

// byAge returns the bucket with the age key of a record.
func (l *laneTx) byAge(r *record) *bolt.Bucket {
	if r.Open {
		return l.part(openPart)
	}
	return l.part(closedPart)
}

// putRecord replaces a record, and its age key if that has changed. A zero old means that there is
// no record yet.
func (l *laneTx) putRecord(key []byte, old, r record) error {
	l.commit.changed = true
	if err := l.part(recordsPart).Put(key, encodeRecord(key, r)); err != nil {
		return err
	}
	from, to := l.byAge(&old), l.byAge(&r)
	oldAge, age := old.ageKey(key), r.ageKey(key)
	exists := old.changed != 0 && from.Get(oldAge) != nil
	if exists && from == to && slices.Equal(oldAge, age) {
		return nil
	}
	if exists {
		if err := l.deleteAge(from, oldAge); err != nil {
			return err
		}
	}
	if to.Get(age) == nil {
		l.countAge(to, key, 1)
	}
	return to.Put(age, []byte{})
}

// countAge adds n age keys to the index, or removes them.
func (l *laneTx) countAge(byAge *bolt.Bucket, key []byte, n int) {
	l.records += n
	if byAge == l.part(openPart) {
		l.commit.store.index.problems.add(keyProblem(key), l.at, holding{open: int32(n)})
	}
}

// deleteAge deletes an age key.
func (l *laneTx) deleteAge(byAge *bolt.Bucket, ageKey []byte) error {
	l.countAge(byAge, ageRecord(ageKey), -1)
	return byAge.Delete(ageKey)
}

// deleteAges deletes the age keys of a record that cannot be read, which says when it changed: it
// looks at all.
func (l *laneTx) deleteAges(key []byte) error {
	for _, byAge := range []*bolt.Bucket{l.part(closedPart), l.part(openPart)} {
		var found [][]byte
		c := byAge.Cursor()
		for k, _ := c.First(); k != nil; k, _ = c.Next() {
			if bytes.Equal(ageRecord(k), key) {
				found = append(found, slices.Clone(k))
			}
		}
		for _, k := range found {
			if err := l.deleteAge(byAge, k); err != nil {
				return err
			}
		}
	}
	return nil
}

// holds reports whether something of a record's problem is pending or dead.
func (l *laneTx) holds(key []byte) bool {
	return l.commit.store.index.problems.entries(keyProblem(key), l.at) > 0
}
