package boltstore

import (
	"cmp"
	"context"
	"encoding/binary"
	"slices"
	"time"

	bolt "go.etcd.io/bbolt"

	"github.com/guance-relay/guance-relay/relay/store"
)

// A settlement is an entry that has ended.
//
//	seq      uvarint
//	outcome  byte
//	at       time
//	kept     clock
//	ended    clock: when it ended, by the store's time
//	header   its size as uvarint, header
//	reason   string
//	sticky   byte
type settlement struct {
	seq     uint64
	outcome store.Outcome
	at      time.Time
	kept    time.Duration
	ended   time.Duration
	header  []byte
	reason  string
	sticky  bool
}

func encodeSettlement(key []byte, s settlement) []byte {
	b := make([]byte, 4, 48+len(s.header)+len(s.reason))
	b = binary.AppendUvarint(b, s.seq)
	b = append(b, byte(s.outcome))
	b = appendTime(b, s.at)
	b = appendClock(b, s.kept)
	b = appendClock(b, s.ended)
	b = appendString(b, s.header)
	b = appendString(b, s.reason)
	b = appendBool(b, s.sticky)
	return seal(key, b)
}

// decodeSettlement decodes a settlement and its header. The header within s is a part of value.
func decodeSettlement(key, value []byte) (s settlement, h header, err error) {
	b, err := unseal("outcome", key, value)
	if err != nil {
		return s, h, err
	}
	d := decoder{b: b}
	s = settlement{
		seq: d.uvarint(), outcome: store.Outcome(d.byte()), at: d.time(), kept: d.clock(),
		ended: d.clock(), header: d.bytes(), reason: string(d.bytes()), sticky: d.byte() == 1,
	}
	h, ok := decodeHeader(s.header)
	if d.bad || !ok {
		return s, h, damaged("outcome", key)
	}
	return s, h, nil
}

// settlement returns s as callers get it.
func (s *settlement) settlement(lane string, h *header, body []byte) store.Settlement {
	e := h.entry(lane, s.seq, s.kept)
	e.Body, e.Sticky = body, s.sticky
	return store.Settlement{Entry: e, Outcome: s.outcome, Reason: s.reason, At: s.at}
}

// addSettlement adds a settlement to the history, and deletes the oldest above the bound.
func (l *laneTx) addSettlement(s settlement) error {
	n, err := l.part(historyPart).NextSequence()
	if err != nil {
		return err
	}
	key := seqKey(n)
	if err := l.part(historyPart).Put(key, encodeSettlement(key, s)); err != nil {
		return err
	}
	for l.ended++; l.ended > l.opts().History; l.ended-- {
		first, _ := l.part(historyPart).Cursor().First()
		if err := l.part(historyPart).Delete(first); err != nil {
			return err
		}
	}
	return nil
}

// History implements [store.Store]. It reads the whole history of the lane, which is fast enough
// for a person. An entry that was revived has a settlement for each time it ended.
func (s *Store) History(ctx context.Context, lane, problem string) (
	found []store.Settlement, err error,
) {
	if err := s.usable(ctx); err != nil {
		return nil, err
	}
	err = s.viewLane(lane, func(b *bolt.Bucket, lane string) error {
		return b.Bucket(historyPart).ForEach(func(k, v []byte) error {
			st, h, err := decodeSettlement(k, v)
			if err == nil && h.problem == problem {
				found = append(found, st.settlement(lane, &h, nil))
			}
			return err
		})
	})
	if err != nil {
		return nil, err
	}
	slices.SortStableFunc(found, func(a, b store.Settlement) int {
		return cmp.Compare(a.Seq, b.Seq)
	})
	return found, nil
}
