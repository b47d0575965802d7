package boltstore

import (
	"encoding/binary"
	"errors"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/guance-relay/guance-relay/guance"
	"github.com/guance-relay/guance-relay/relay/store"
)

// Each kind of value, at the bounds of what can be read.
func TestDecoderBounds(t *testing.T) {
	uvarint := func(n uint64) []byte { return binary.AppendUvarint(nil, n) }
	moment := func(sec int64, nsec uint64) []byte {
		return binary.AppendUvarint(binary.AppendVarint([]byte{1}, sec), nsec)
	}
	for name, test := range map[string]struct {
		b    []byte
		read func(*decoder) any
		want any
		bad  bool
	}{
		"time": {moment(5, 999_999_999), (*decoder).anyTime,
			time.Unix(5, 999_999_999).UTC(), false},
		"no time":        {[]byte{0}, (*decoder).anyTime, time.Time{}, false},
		"no such time":   {moment(5, 1_000_000_000), (*decoder).anyTime, time.Time{}, true},
		"a whole second": {[]byte{1, 10}, (*decoder).anyTime, time.Unix(5, 0).UTC(), false},
		"clock": {uvarint(math.MaxInt64), (*decoder).anyClock,
			time.Duration(math.MaxInt64), false},
		"no such clock":    {uvarint(math.MaxInt64 + 1), (*decoder).anyClock, time.Duration(0), true},
		"size":             {uvarint(math.MaxInt32), (*decoder).anySize, math.MaxInt32, false},
		"no such size":     {uvarint(math.MaxInt32 + 1), (*decoder).anySize, 0, true},
		"bytes":            {[]byte{2, 'a', 'b'}, (*decoder).anyBytes, "ab", false},
		"too few bytes":    {[]byte{3, 'a', 'b'}, (*decoder).anyBytes, "", true},
		"an absent number": {nil, func(d *decoder) any { return d.uvarint() }, uint64(0), false},
		"half a number":    {[]byte{0x80}, func(d *decoder) any { return d.uvarint() }, uint64(0), true},
		"half an int":      {[]byte{0x80}, func(d *decoder) any { return d.varint() }, int64(0), true},
		"four bytes": {[]byte{1, 0, 0, 0}, func(d *decoder) any { return d.uint32() },
			uint32(1), false},
		"three bytes":    {[]byte{1, 0, 0}, func(d *decoder) any { return d.uint32() }, uint32(0), true},
		"an absent byte": {nil, func(d *decoder) any { return d.byte() }, byte(0), false},
	} {
		d := decoder{b: test.b}
		got := test.read(&d)
		if d.bad != test.bad || test.want != nil && got != test.want || len(d.b) != 0 {
			t.Errorf("%s: %v, bad %v, %d bytes are left", name, got, d.bad, len(d.b))
		}
	}
}

func (d *decoder) anyTime() any  { return d.time() }
func (d *decoder) anyClock() any { return d.clock() }
func (d *decoder) anySize() any  { return d.size() }
func (d *decoder) anyBytes() any { return string(d.bytes()) }

// What is written is read, and a value that is cut short or of another key is damaged.
func TestValuesAreSealed(t *testing.T) {
	at := time.Unix(1_700_000_000, 5).UTC()
	e := &store.Event{ID: "id", Problem: "p", State: guance.StateProblem, Level: guance.LevelError,
		Time: at, Accepted: at.Add(time.Second), Trace: "trace"}
	key := seqKey(7)
	r := record{Record: store.Record{Last: 9, Seq: 8, Open: true, Shown: guance.LevelError,
		Doubt: true, Time: at, At: at.Add(time.Minute)}, changed: 5 * time.Second}
	s := settlement{seq: 7, outcome: store.Dead, at: at, kept: 3, ended: 4, header: encodeHeader(e),
		reason: "why", sticky: true}
	values := map[string]struct {
		value []byte
		read  func(key, value []byte) (any, error)
		want  any
	}{
		"record": {encodeRecord(key, r), func(k, v []byte) (any, error) { return decodeRecord(k, v) }, r},
		"settlement": {encodeSettlement(key, s), func(k, v []byte) (any, error) {
			s, _, err := decodeSettlement(k, v)
			return s, err
		}, s},
	}
	for name, test := range values {
		got, err := test.read(key, test.value)
		if diff := cmp.Diff(test.want, got, cmp.AllowUnexported(record{}, settlement{}),
			cmpopts.EquateEmpty()); diff != "" || err != nil {
			t.Errorf("%s: %v (-want +got)\n%s", name, err, diff)
		}
		if _, err := test.read(seqKey(8), test.value); !errors.Is(err, store.ErrDamaged) {
			t.Errorf("%s under another key: %v", name, err)
		}
		for n := range test.value {
			if _, err := test.read(key, test.value[:n]); !errors.Is(err, store.ErrDamaged) {
				t.Errorf("%s of %d bytes: %v", name, n, err)
			}
		}
	}
	_, h, err := decodeSettlement(key, values["settlement"].value)
	if got := s.settlement("lane", &h, []byte("body")); err != nil || got.Outcome != store.Dead ||
		got.Reason != "why" || !got.At.Equal(at) || got.Lane != "lane" || got.Seq != 7 ||
		got.ID != "id" || got.Problem != "p" || !got.Time.Equal(at) || got.Trace != "trace" ||
		!got.Sticky || string(got.Body) != "body" || got.Kept != 3 ||
		got.State != guance.StateProblem || got.Level != guance.LevelError ||
		!got.Accepted.Equal(at.Add(time.Second)) {
		t.Errorf("%+v, %v", got, err)
	}
	damaged := s
	damaged.header = []byte{0x80}
	if _, _, err := decodeSettlement(key, encodeSettlement(key, damaged)); !errors.Is(err,
		store.ErrDamaged) {
		t.Errorf("a settlement with a damaged header: %v", err)
	}
}

// The key by age: whole seconds, in order, as far as four bytes go.
func TestAgeKeys(t *testing.T) {
	for changed, want := range map[time.Duration]time.Duration{
		0: 0, time.Second - 1: 0, time.Second: time.Second, 1500 * time.Millisecond: time.Second,
		math.MaxUint32 * time.Second: math.MaxUint32 * time.Second,
		math.MaxInt64:                math.MaxUint32 * time.Second,
	} {
		r := record{changed: changed}
		key := r.ageKey([]byte("pproblem"))
		if ageKeyTime(key) != want || string(ageRecord(key)) != "pproblem" {
			t.Errorf("%v: %v of %q", changed, ageKeyTime(key), ageRecord(key))
		}
	}
	for n := range 4 {
		if key := make([]byte, n); ageKeyTime(key) != 0 || len(ageRecord(key)) != 0 {
			t.Errorf("a key of %d bytes is of %v", n, ageKeyTime(key))
		}
	}
	if keyProblem(recordKey("a")) != hashProblem("a") || keyProblem(nil) != hashProblem("") {
		t.Error("a record is of another problem")
	}
}

// A segment that is cut short, or whose header is longer than it, is named.
func TestSplitSegment(t *testing.T) {
	const want = "boltstore: the segment at 0000000000000007: "
	for _, value := range [][]byte{nil, make([]byte, 7), {0, 0, 0, 0, 1, 0, 0, 0}, make([]byte, 8)} {
		_, _, err := splitSegment(seqKey(7), value)
		if !errors.Is(err, store.ErrDamaged) || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%d bytes: %v", len(value), err)
		}
	}
}
