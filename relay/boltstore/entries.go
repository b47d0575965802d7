package boltstore

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"time"

	bolt "go.etcd.io/bbolt"

	"github.com/guance-relay/guance-relay/guance"
	"github.com/guance-relay/guance-relay/relay"
)

// The file's layout. Each lane is a bucket named after it within "lanes" and holds
//
//	entries   seq → header: the unsettled entries
//	bodies    seq → the event, apart so that a large backlog is listed without touching it
//	records   problem key → record
//	seen      seq → event ID, the newest few, to recognise duplicates
//	outcomes  seq → settlement of the newest settled entries
//	dead      seq → settlement of dead letters, with the body
//
// Sequence numbers are eight bytes, big-endian. Values are JSON of the structs below, which are not those of the API: fields may be
// added, never renamed nor given another meaning; whatever does not fit that rule gets another version in the "meta" bucket.
const version = "1"

type header struct {
	ID       string       `json:"i,omitempty"`
	Problem  string       `json:"p"`
	State    guance.State `json:"s"`
	Level    guance.Level `json:"l"`
	Time     time.Time    `json:"t,omitzero"`
	Accepted time.Time    `json:"a"`
	Trace    string       `json:"w,omitempty"`
	Begun    bool         `json:"b,omitzero"`
	Failed   int          `json:"f,omitzero"`
}

type record struct {
	Last  uint64       `json:"l"`
	Seq   uint64       `json:"q"`
	Open  bool         `json:"o,omitzero"`
	Shown guance.Level `json:"v,omitzero"`
	Time  time.Time    `json:"t,omitzero"`
	At    time.Time    `json:"a,omitzero"`
}

type settlement struct {
	Header  header        `json:"h"`
	Outcome relay.Outcome `json:"o"`
	Reason  string        `json:"r,omitempty"`
	At      time.Time     `json:"at"`
	Body    []byte        `json:"e,omitempty"` // of a dead letter; base64: bytes that a sender chose cannot fail the commit
}

// keptOutcomes is how many outcomes of a lane are kept.
const keptOutcomes = 10_000

var parts = []string{"entries", "bodies", "records", "seen", "outcomes", "dead"}

func key(seq uint64) []byte { return binary.BigEndian.AppendUint64(nil, seq) }

// load makes or checks the buckets and brings what memory holds of each lane.
func (s *Store) load() error {
	return s.db.Update(func(tx *bolt.Tx) error {
		meta, err := tx.CreateBucketIfNotExists([]byte("meta"))
		if err != nil {
			return err
		}
		if v := meta.Get([]byte("version")); v != nil && string(v) != version {
			return fmt.Errorf("the file has version %s and this program knows version %s: use the program that wrote it", v, version)
		}
		if err := meta.Put([]byte("version"), []byte(version)); err != nil {
			return err
		}
		lanes, err := tx.CreateBucketIfNotExists([]byte("lanes"))
		if err != nil {
			return err
		}
		return lanes.ForEachBucket(func(name []byte) error {
			l := s.lane(string(name))
			b := lanes.Bucket(name)
			for c, k := cursor(b, "entries", 0); k != nil; k, _ = c.Next() {
				l.pending++
			}
			return b.Bucket([]byte("seen")).ForEach(func(_, id []byte) error {
				l.seen[string(id)] = true
				l.oldest = append(l.oldest, string(id))
				return nil
			})
		})
	})
}

// buckets returns a lane's bucket, made on first use.
func buckets(tx *bolt.Tx, name string) (*bolt.Bucket, error) {
	lanes := tx.Bucket([]byte("lanes"))
	if b := lanes.Bucket([]byte(name)); b != nil {
		return b, nil
	}
	b, err := lanes.CreateBucket([]byte(name))
	if err != nil {
		return nil, err
	}
	for _, part := range parts {
		if _, err := b.CreateBucket([]byte(part)); err != nil {
			return nil, err
		}
	}
	return b, nil
}

func put(b *bolt.Bucket, part string, key []byte, v any) error {
	data, err := json.Marshal(v)
	if err != nil {
		return err
	}
	return b.Bucket([]byte(part)).Put(key, data)
}

// cursor returns a cursor on one part of a lane at the first key above after, and that key.
func cursor(b *bolt.Bucket, part string, after uint64) (*bolt.Cursor, []byte) {
	c := b.Bucket([]byte(part)).Cursor()
	k, _ := c.Seek(key(after + 1))
	return c, k
}

// Append implements [relay.Store].
func (s *Store) Append(ctx context.Context, entries []*relay.Entry) error {
	if err := s.usable(); err != nil {
		return err
	}
	check := func(*bolt.Tx) error {
		if n := s.total(); n+len(entries) > s.opts.MaxEntries {
			return fmt.Errorf("boltstore: %d entries are pending: %w", n, relay.ErrFull)
		}
		return nil
	}
	write := func(tx *bolt.Tx) error {
		for _, e := range entries {
			if err := s.append(tx, e); err != nil {
				return err
			}
		}
		return nil
	}
	return s.submit(ctx, check, write, func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		for _, e := range entries {
			s.lanes[e.Lane].wake()
		}
	})
}

// append writes one entry. What it changes in memory is right only if the commit succeeds; when it does not, the store has
// failed and takes nothing any more.
func (s *Store) append(tx *bolt.Tx, e *relay.Entry) error {
	l := s.lane(e.Lane)
	e.Seq = 0
	if e.ID != "" && l.seen[e.ID] {
		return nil
	}
	b, err := buckets(tx, e.Lane)
	if err != nil {
		return err
	}
	if e.Seq, err = b.NextSequence(); err != nil {
		return err
	}
	if err := s.remember(b, l, e); err != nil {
		return err
	}
	h := header{ID: e.ID, Problem: e.Problem, State: e.State, Level: e.Level, Time: e.Time, Accepted: e.Accepted, Trace: e.Trace}
	if e.Ignored != "" {
		return settle(b, e.Seq, settlement{Header: h, Outcome: relay.Ignored, Reason: e.Ignored, At: e.Accepted})
	}
	if err := put(b, "entries", key(e.Seq), h); err != nil {
		return err
	}
	s.mu.Lock()
	l.pending++
	s.mu.Unlock()
	return b.Bucket([]byte("bodies")).Put(key(e.Seq), e.Body)
}

// remember keeps the event's ID, and forgets the oldest ones above the bound.
func (s *Store) remember(b *bolt.Bucket, l *lane, e *relay.Entry) error {
	if e.ID == "" {
		return nil
	}
	seen := b.Bucket([]byte("seen"))
	l.seen[e.ID] = true
	l.oldest = append(l.oldest, e.ID)
	if err := seen.Put(key(e.Seq), []byte(e.ID)); err != nil {
		return err
	}
	for len(l.oldest) > s.opts.Remembered {
		delete(l.seen, l.oldest[0])
		l.oldest = l.oldest[1:]
		k, _ := seen.Cursor().First()
		if err := seen.Delete(k); err != nil {
			return err
		}
	}
	return nil
}

// settle records an outcome, and forgets the oldest one above the bound.
func settle(b *bolt.Bucket, seq uint64, st settlement) error {
	if err := put(b, "outcomes", key(seq), st); err != nil {
		return err
	}
	outcomes := b.Bucket([]byte("outcomes"))
	if first, _ := outcomes.Cursor().First(); binary.BigEndian.Uint64(first)+keptOutcomes < seq {
		return outcomes.Delete(first)
	}
	return nil
}

// Holdings implements [relay.Store].
func (s *Store) Holdings(context.Context) (map[string]relay.Holdings, error) {
	if err := s.usable(); err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	holdings := make(map[string]relay.Holdings)
	for name, l := range s.lanes {
		if l.pending > 0 {
			holdings[name] = relay.Holdings{Pending: l.pending}
		}
	}
	return holdings, nil
}
