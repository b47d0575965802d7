package boltstore

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/guance-relay/guance-relay/guance"
	"github.com/guance-relay/guance-relay/relay/store"
)

var (
	first = time.Date(2026, 1, 2, 3, 4, 5, 6, time.UTC)
	key   = seqKey(7)
)

var someRecord = record{
	store.Record{Last: 1, Seq: 2, Open: true, Shown: 3, Doubt: true, Time: first, At: first},
	time.Hour,
}

func TestHeader(t *testing.T) {
	for _, e := range []*store.Event{
		{},
		{ID: "id", Problem: "p", State: guance.StateRecovered, Level: guance.LevelFatal,
			Time: first, Accepted: first.Add(1), Trace: "trace", Body: []byte("body")},
		{Problem: string(make([]byte, 4096)), Time: time.Unix(-1, 999_999_999).UTC(), Level: -1},
		{Time: time.Unix(math.MaxInt32*1000, 0).UTC()},
	} {
		h, ok := decodeHeader(encodeHeader(e))
		if !ok || !h.matches(e.Body) {
			t.Errorf("%+v: decoded %v, holds its body %v", e, ok, h.matches(e.Body))
		}
		want := store.Entry{
			Lane: "lane", Seq: 7, Kept: time.Hour, ID: e.ID, Problem: e.Problem, State: e.State,
			Level: e.Level, Time: e.Time, Accepted: e.Accepted, Trace: e.Trace,
		}
		if diff := cmp.Diff(want, h.entry("lane", 7, time.Hour)); diff != "" {
			t.Error(diff)
		}
		// A field of a later program is ignored. A field that an earlier program did not write is
		// zero.
		if later, ok := decodeHeader(append(encodeHeader(e), 1, 2, 3)); !ok || later != h {
			t.Errorf("with a field more: %+v, %v", later, ok)
		}
		short := encodeHeader(&store.Event{ID: e.ID})[:10+len(e.ID)]
		earlier, ok := decodeHeader(short)
		if len(e.ID) > 0 && (!ok || earlier.problem != "") {
			t.Errorf("with fields fewer: %+v, %v", earlier, ok)
		}
	}
}

func TestRecord(t *testing.T) {
	for _, r := range []record{
		{},
		{store.Record{Last: 1, Seq: math.MaxUint64, Open: true, Shown: guance.LevelCritical,
			Time: first, At: first.Add(time.Hour)}, math.MaxInt64},
		{store.Record{Doubt: true}, time.Nanosecond},
	} {
		got, err := decodeRecord(key, encodeRecord(key, r))
		if err != nil || got != r {
			t.Errorf("got %+v, %v; want %+v", got, err, r)
		}
	}
}

func TestSettlement(t *testing.T) {
	e := &store.Event{ID: "id", Problem: "p", Accepted: first, Body: []byte("body")}
	want := settlement{
		7, store.Dead, first, time.Hour, 2*time.Hour + 1, encodeHeader(e), "why", true,
	}
	got, h, err := decodeSettlement(key, encodeSettlement(key, want))
	if err != nil || h.problem != "p" || !bytes.Equal(got.header, want.header) {
		t.Fatalf("got %+v, %+v, %v", got, h, err)
	}
	got.header, want.header = nil, nil
	if diff := cmp.Diff(want, got, cmp.AllowUnexported(settlement{})); diff != "" {
		t.Error(diff)
	}
}

func sampleEntries() []segmentEntry {
	var entries []segmentEntry
	for i := range uint64(3) {
		e := &store.Event{ID: "id", Problem: "p", Body: bytes.Repeat([]byte{byte(i)}, int(i*1000))}
		h := encodeHeader(e)
		s := progress{seq: 7 + i*i, problem: 3 << 40, size: uint32(len(h) + len(e.Body)),
			state: begun(int(i)), kind: uint8(i)}
		entries = append(entries, segmentEntry{s, time.Hour + time.Duration(i), h, e.Body})
	}
	return entries
}

func TestSegment(t *testing.T) {
	entries := sampleEntries()
	var list []progress
	for _, e := range entries {
		list = append(list, e.progress)
	}
	decoded, err := decodeProgress(nil, key, encodeProgress(7, list))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(list, decoded, cmp.AllowUnexported(progress{})); diff != "" {
		t.Error(diff)
	}
	n := 0
	err = decodeSegment(key, appendSegment(nil, entries), list, func(e segmentEntry) bool {
		if want := entries[n]; e.progress != want.progress || e.kept != want.kept ||
			!bytes.Equal(e.header, want.header) || !bytes.Equal(e.body, want.body) {
			t.Errorf("entry %d differs", n)
		}
		n++
		return true
	})
	if err != nil || n != len(entries) {
		t.Errorf("got %d entries, %v", n, err)
	}
}

// A change of any byte of a value is found, and so is a value under another key.
func TestDamageIsFound(t *testing.T) {
	entries := sampleEntries()
	list := []progress{entries[0].progress, entries[1].progress, entries[2].progress}
	segment := appendSegment(nil, entries)
	headers, bodies, err := splitSegment(key, segment)
	if err != nil {
		t.Fatal(err)
	}
	st := encodeSettlement(key,
		settlement{7, store.Delivered, first, 1, 2, entries[0].header, "why", false})
	for name, c := range map[string]struct {
		value  []byte
		decode func(key, value []byte) error
	}{
		"progress": {encodeProgress(7, list), func(k, v []byte) error {
			_, err := decodeProgress(nil, k, v)
			return err
		}},
		"record": {encodeRecord(key, someRecord), func(k, v []byte) error {
			_, err := decodeRecord(k, v)
			return err
		}},
		"settlement": {st, func(k, v []byte) error {
			_, _, err := decodeSettlement(k, v)
			return err
		}},
		"hashes": {encodeHashes(key, []hash{hashID("a"), hashID("b")}), func(k, v []byte) error {
			_, err := decodeHashes(k, v)
			return err
		}},
		"number of a lane": {encodeLaneID(key, 7), func(k, v []byte) error {
			_, err := decodeLaneID(k, v)
			return err
		}},
		"segment": {segment[:8+len(headers)], func(k, v []byte) error {
			return decodeSegment(k, append(v[:len(v):len(v)], bodies...), list,
				func(segmentEntry) bool { return true })
		}},
	} {
		if err := c.decode(key, c.value); err != nil {
			t.Errorf("%s: undamaged: %v", name, err)
		}
		if err := c.decode(seqKey(8), c.value); !errors.Is(err, store.ErrDamaged) {
			t.Errorf("%s: under another key: got %v", name, err)
		}
		for i := range c.value {
			v := bytes.Clone(c.value)
			v[i] ^= 0x10
			if err := c.decode(key, v); !errors.Is(err, store.ErrDamaged) {
				t.Errorf("%s: byte %d changed: got %v", name, i, err)
			}
			if err := c.decode(key, c.value[:i]); !errors.Is(err, store.ErrDamaged) {
				t.Errorf("%s: cut to %d bytes: got %v", name, i, err)
			}
		}
	}
}

// Hashes are on disk and may not change.
func TestHashes(t *testing.T) {
	if got := hashProblem("a"); got != 0xca978112ca1bbdca {
		t.Errorf("hashProblem: got %#x", got)
	}
	if got := fmt.Sprintf("%x", hashID("a")); got != "ca978112ca1bbdcafac231b39a23dc4d" {
		t.Errorf("hashID: got %s", got)
	}
}

// FuzzDecode gives the decoders random values with a right checksum. They refuse a value, or encode
// it the same way again.
func FuzzDecode(f *testing.F) {
	entries := sampleEntries()
	f.Add(encodeProgress(7, []progress{entries[0].progress, entries[1].progress}))
	f.Add(encodeRecord(key, someRecord))
	f.Add(encodeSettlement(key,
		settlement{7, store.Dead, first, 1, 2, entries[1].header, "why", true}))
	f.Add(encodeLaneID(key, 7))
	f.Add(encodeName("lane"))
	f.Add(encodeHashes(key, []hash{hashID("a")}))
	f.Add(appendSegment(nil, entries))
	f.Add(entries[1].header)
	f.Fuzz(func(t *testing.T, data []byte) {
		check := func(what string, err error) bool {
			if err != nil && !errors.Is(err, store.ErrDamaged) {
				t.Errorf("%s: got %v, want ErrDamaged", what, err)
			}
			return err == nil
		}
		if h, ok := decodeHeader(data); ok {
			again := encodeHeader(&store.Event{
				ID: h.id, Problem: h.problem, State: h.state, Level: h.level, Time: h.time,
				Accepted: h.accepted, Trace: h.trace,
			})
			if h2, ok := decodeHeader(again); !ok || h2.problem != h.problem ||
				!h2.time.Equal(h.time) {
				t.Errorf("header: %+v became %+v", h, h2)
			}
		}
		if len(data) < 4 {
			return
		}
		sealed := seal(key, bytes.Clone(data))
		list, err := decodeProgress(nil, key, sealed)
		if check("progress", err) && !bytes.Equal(encodeProgress(7, list), sealed) {
			t.Errorf("progress: %x is not written the same way", sealed)
		}
		if r, err := decodeRecord(key, sealed); check("record", err) {
			if r2, err := decodeRecord(key, encodeRecord(key, r)); err != nil || r2 != r {
				t.Errorf("record: %+v became %+v, %v", r, r2, err)
			}
		}
		if s, _, err := decodeSettlement(key, sealed); check("settlement", err) {
			if s2, _, err := decodeSettlement(key, encodeSettlement(key, s)); err != nil ||
				s2.reason != s.reason || !s2.at.Equal(s.at) || s2.kept != s.kept ||
				s2.ended != s.ended || s2.sticky != s.sticky {
				t.Errorf("settlement: %+v became %+v, %v", s, s2, err)
			}
		}
		if hashes, err := decodeHashes(key, sealed); check("hashes", err) &&
			!bytes.Equal(encodeHashes(key, hashes), sealed) {
			t.Errorf("hashes: %x is not written the same way", sealed)
		}
		if id, err := decodeLaneID(key, sealed); check("number of a lane", err) &&
			!bytes.Equal(encodeLaneID(key, id), sealed) {
			t.Errorf("number of a lane: %x is not written the same way", sealed)
		}
		named := seal(nameKey, bytes.Clone(data))
		if name, err := decodeName(named); check("name of a lane", err) &&
			!bytes.Equal(encodeName(name), named) {
			t.Errorf("name of a lane: %x is not written the same way", named)
		}
		if len(data) < 8 {
			return
		}
		// The checksum of a segment covers as many bytes as the segment says.
		segment := bytes.Clone(data)
		if end := 8 + int(segment[4]) + int(segment[5])<<8; segment[6] == 0 && segment[7] == 0 &&
			end <= len(segment) {
			seal(key, segment[:end])
		}
		check("segment", decodeSegment(key, segment,
			[]progress{entries[0].progress, entries[1].progress, entries[2].progress},
			func(e segmentEntry) bool {
				decodeHeader(e.header)
				return true
			}))
	})
}

func TestFileClock(t *testing.T) {
	for _, now := range []time.Duration{1, time.Hour, math.MaxInt64} {
		value := encodeClock(now)
		if got, err := decodeClock(value); err != nil || got != now {
			t.Errorf("%v: got %v, %v", now, got, err)
		}
		for i := range value {
			bad := bytes.Clone(value)
			bad[i] ^= 4
			if _, err := decodeClock(bad); !errors.Is(err, store.ErrDamaged) {
				t.Errorf("%v, byte %d changed: got %v, want ErrDamaged", now, i, err)
			}
		}
	}
	for _, value := range [][]byte{nil, {}, {1, 2, 3}, encodeClock(0),
		seal(clockKey, []byte{0, 0, 0, 0, 0x80})} {
		if _, err := decodeClock(value); !errors.Is(err, store.ErrDamaged) {
			t.Errorf("%x: got %v, want ErrDamaged", value, err)
		}
	}
}

// A field that is cut short, or too large for its type, is an error and not zero.
func TestFieldsThatAreCutShort(t *testing.T) {
	long := bytes.Repeat([]byte{0x80}, 11)
	for name, read := range map[string]func(*decoder){
		"uvarint": func(d *decoder) { d.uvarint() },
		"varint":  func(d *decoder) { d.varint() },
		"size":    func(d *decoder) { d.size() },
		"bytes":   func(d *decoder) { d.bytes() },
		"clock":   func(d *decoder) { d.clock() },
		"time":    func(d *decoder) { d.time() },
		"string":  func(d *decoder) { d.string(string(d.b)) },
	} {
		for _, b := range [][]byte{{0x80}, long} {
			if name == "time" {
				b = append([]byte{1}, b...)
			}
			d := decoder{b: b}
			if read(&d); !d.bad {
				t.Errorf("%s of %x: taken", name, b)
			}
		}
	}
	for name, read := range map[string]func(*decoder){
		"bytes":  func(d *decoder) { d.bytes() },
		"string": func(d *decoder) { d.string(string(d.b)) },
		"uint32": func(d *decoder) { d.uint32() },
	} {
		d := decoder{b: []byte{2, 'a'}}
		if read(&d); !d.bad {
			t.Errorf("%s of which one byte is missing: taken", name)
		}
	}
}
