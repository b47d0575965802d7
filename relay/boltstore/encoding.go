package boltstore

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"math"
	"slices"
	"time"

	"github.com/guance-relay/guance-relay/guance"
	"github.com/guance-relay/guance-relay/relay/store"
)

// version names the form of all that this file and layout.go describe. It is in the file's "meta" bucket, and a program refuses a file of
// another version. There is none before it to read: none was released.
//
// Allowed changes within a version: fields may be added at the end of a header, a record or a settlement. None is removed, moved or given
// another meaning. A reader takes a field that is not there as zero and ignores what follows the fields it knows; headers and records that
// it does not change it copies as they are. Outcomes, states and levels keep their numbers. All else is another version.
//
// The values, apart from a header, begin with four bytes of CRC-32C (Castagnoli) over the key and the rest: a damaged value, or one that
// stands under another's key, is told from garbage. Numbers are little-endian or varints of encoding/binary, keys are big-endian so that
// they sort.
const version = "3"

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// damaged is what every reader of the file returns for a value that is not what was written.
func damaged(what string, key []byte) error {
	return fmt.Errorf("boltstore: the %s at %x: %w; keep the file for repair and see docs/durability.md", what, key, store.ErrDamaged)
}

// seal fills in the checksum of a value whose first four bytes were left for it.
func seal(key, value []byte) []byte {
	binary.LittleEndian.PutUint32(value, sum(key, value[4:]))
	return value
}

// unseal returns a sealed value without its checksum.
func unseal(what string, key, value []byte) ([]byte, error) {
	if len(value) < 4 || binary.LittleEndian.Uint32(value) != sum(key, value[4:]) {
		return nil, damaged(what, key)
	}
	return value[4:], nil
}

func sum(key, value []byte) uint32 {
	return crc32.Update(crc32.Checksum(key, castagnoli), castagnoli, value)
}

// seqKey is the key of what is kept by sequence number.
func seqKey(seq uint64) []byte { return binary.BigEndian.AppendUint64(nil, seq) }

// keySeq reads what seqKey wrote, and zero for a key of another length.
func keySeq(key []byte) uint64 {
	if len(key) != 8 {
		return 0
	}
	return binary.BigEndian.Uint64(key)
}

// A header is an entry without what its place in the file says: lane, sequence number, progress and body.
//
//	body sum   uint32, CRC-32C of the body
//	body size  uvarint
//	state      varint
//	level      varint
//	time       time
//	accepted   time
//	id         string
//	problem    string
//	trace      string
type header struct {
	bodySum  uint32
	bodySize int
	state    guance.State
	level    guance.Level
	time     time.Time
	accepted time.Time
	id       string
	problem  string
	trace    string
}

// encodeHeader encodes the header of an entry.
func encodeHeader(e *store.Entry) []byte {
	b := make([]byte, 0, 64+len(e.ID)+len(e.Problem)+len(e.Trace))
	b = binary.LittleEndian.AppendUint32(b, crc32.Checksum(e.Body, castagnoli))
	b = binary.AppendUvarint(b, uint64(len(e.Body)))
	b = binary.AppendVarint(b, int64(e.State))
	b = binary.AppendVarint(b, int64(e.Level))
	b = appendTime(b, e.Time)
	b = appendTime(b, e.Accepted)
	b = appendString(b, e.ID)
	b = appendString(b, e.Problem)
	return appendString(b, e.Trace)
}

func decodeHeader(b []byte) (h header, ok bool) {
	d := decoder{b: b}
	h.bodySum = d.uint32()
	h.bodySize = d.size()
	h.state = guance.State(d.varint())
	h.level = guance.Level(d.varint())
	h.time = d.time()
	h.accepted = d.time()
	// One string for all three: an entry costs one allocation besides itself, and holds nothing else.
	d.b, d.s = nil, string(d.b)
	h.id = d.string()
	h.problem = d.string()
	h.trace = d.string()
	return h, !d.bad
}

// entry returns the entry that h is the header of.
func (h *header) entry(lane string, seq uint64, kept time.Duration) store.Entry {
	return store.Entry{
		Lane: lane, Seq: seq, ID: h.id, Problem: h.problem, State: h.state, Level: h.level, Time: h.time, Accepted: h.accepted, Kept: kept,
		Trace: h.trace,
	}
}

// holds reports whether body is the one that h was made for.
func (h *header) holds(body []byte) bool {
	return len(body) == h.bodySize && crc32.Checksum(body, castagnoli) == h.bodySum
}

// A slot is how far one entry of a segment has gone. Slots stand apart from the segment, so that a mark does not rewrite events, and hold
// what a store needs to know of each pending entry when it opens, so that opening does not read events.
//
//	seq      uint32, above the segment's first
//	problem  uint32, the first bytes of a hash
//	size     uint32, of header and body
//	state    uint32, 0 fresh, 1+n begun after n failed attempts, all ones settled
type slot struct {
	seq     uint64
	problem uint32
	size    uint32
	state   uint32
}

const (
	slotSize = 16
	settled  = math.MaxUint32
)

// begun is the state of an entry whose attempt begins after so many failed.
func begun(failed int) uint32 { return uint32(min(max(failed, 0), math.MaxInt32-1)) + 1 }

func encodeSlots(first uint64, slots []slot) []byte {
	b := make([]byte, 4, 4+slotSize*len(slots))
	for _, s := range slots {
		b = binary.LittleEndian.AppendUint32(b, uint32(s.seq-first))
		b = binary.LittleEndian.AppendUint32(b, s.problem)
		b = binary.LittleEndian.AppendUint32(b, s.size)
		b = binary.LittleEndian.AppendUint32(b, s.state)
	}
	return seal(seqKey(first), b)
}

// decodeSlots appends the slots of a segment to dst. There is at least one, and they ascend.
func decodeSlots(dst []slot, key, value []byte) ([]slot, error) {
	b, err := unseal("progress", key, value)
	if err != nil {
		return nil, err
	}
	if len(key) != 8 || len(b) == 0 || len(b)%slotSize != 0 {
		return nil, damaged("progress", key)
	}
	first, last := keySeq(key), uint64(0)
	for ; len(b) > 0; b = b[slotSize:] {
		s := slot{
			seq:     first + uint64(binary.LittleEndian.Uint32(b)),
			problem: binary.LittleEndian.Uint32(b[4:]),
			size:    binary.LittleEndian.Uint32(b[8:]),
			state:   binary.LittleEndian.Uint32(b[12:]),
		}
		if s.seq <= last {
			return nil, damaged("progress", key)
		}
		last = s.seq
		dst = append(dst, s)
	}
	return dst, nil
}

// An item is one entry of a segment, on its way in or out. Its time stands beside its header and not in it, because the caller encodes the
// header and the committer alone knows the time.
type item struct {
	slot
	kept   time.Duration
	header []byte
	body   []byte
}

// entry returns the entry of an item, without its body. h is its header.
func (it *item) entry(lane string, h *header) *store.Entry {
	e := h.entry(lane, it.seq, it.kept)
	if e.Begun = it.state != 0; e.Begun {
		e.Failed = int(it.state - 1)
	}
	return &e
}

// appendSegment encodes entries that stand together in the file: the headers, so that a backlog is listed without its bodies, and then the
// bodies.
//
//	headers   uint32, the size of the next part; the checksum covers as much
//	          for each entry: seq above the first as uvarint, kept as clock, size of the header as uvarint, header
//	bodies    one after the other; each header has the checksum of its own
func appendSegment(dst []byte, items []item) []byte {
	first, size := items[0].seq, 8
	for _, it := range items {
		size += 2*binary.MaxVarintLen32 + binary.MaxVarintLen64 + len(it.header) + len(it.body)
	}
	dst = slices.Grow(dst, size)
	start := len(dst)
	b := dst[start : start+8] // checksum and size, which come last
	for _, it := range items {
		b = binary.AppendUvarint(b, it.seq-first)
		b = appendClock(b, it.kept)
		b = binary.AppendUvarint(b, uint64(len(it.header)))
		b = append(b, it.header...)
	}
	binary.LittleEndian.PutUint32(b[4:], uint32(len(b)-8))
	seal(seqKey(first), b)
	for _, it := range items {
		b = append(b, it.body...)
	}
	return dst[:start+len(b)]
}

// segmentHeaders returns the two parts of a segment.
func segmentHeaders(key, value []byte) (headers, bodies []byte, err error) {
	if len(value) < 8 {
		return nil, nil, damaged("segment", key)
	}
	end := uint64(binary.LittleEndian.Uint32(value[4:])) + 8
	if end > uint64(len(value)) {
		return nil, nil, damaged("segment", key)
	}
	if _, err := unseal("segment", key, value[:end]); err != nil {
		return nil, nil, err
	}
	return value[8:end], value[end:], nil
}

// nextHeader cuts the first header off a segment's headers.
func nextHeader(first uint64, headers []byte) (seq uint64, kept time.Duration, header, rest []byte, ok bool) {
	d := decoder{b: headers}
	seq = first + d.uvarint()
	kept = d.clock()
	header = d.bytes()
	return seq, kept, header, d.b, !d.bad
}

// A record is what is remembered of a problem, and when by the store's time it last changed.
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
		Last: d.uvarint(), Seq: d.uvarint(), Open: d.byte() == 1, Shown: guance.Level(d.varint()), Doubt: d.byte() == 1, Time: d.time(), At: d.time(),
	}, changed: d.clock()}
	if d.bad {
		return record{}, damaged("record", key)
	}
	return r, nil
}

// turnSize is the size of a turn before the record's key.
const turnSize = 4

// turn is the record's key among those that are forgotten in turn: the second of its last change, big-endian, and its own key. Seconds will
// do, and of a problem whose attempt begins and ends within one the turn stays.
func (r *record) turn(key []byte) []byte {
	seconds := min(r.changed/time.Second, math.MaxUint32)
	return append(binary.BigEndian.AppendUint32(nil, uint32(seconds)), key...)
}

// turnTime returns when the record of a turn changed, to the second.
func turnTime(turn []byte) time.Duration {
	if len(turn) < turnSize {
		return 0
	}
	return time.Duration(binary.BigEndian.Uint32(turn)) * time.Second
}

// The file's clock is a clock under clockKey.
func encodeClock(now time.Duration) []byte {
	return seal(clockKey, appendClock(make([]byte, 4, 16), now))
}

func decodeClock(value []byte) (time.Duration, error) {
	b, err := unseal("clock", clockKey, value)
	if err != nil {
		return 0, err
	}
	d := decoder{b: b}
	now := d.clock()
	if d.bad || now == 0 {
		return 0, damaged("clock", clockKey)
	}
	return now, nil
}

// A settlement is an entry that has ended.
//
//	seq      uvarint
//	outcome  byte
//	at       time
//	kept     clock
//	ended    clock: when it ended by the store's time
//	header   its size as uvarint, header
//	reason   string
type settlement struct {
	seq     uint64
	outcome store.Outcome
	at      time.Time
	kept    time.Duration
	ended   time.Duration
	header  []byte
	reason  string
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
	return seal(key, b)
}

// decodeSettlement decodes a settlement and its header. The settlement's header is a part of value.
func decodeSettlement(key, value []byte) (s settlement, h header, err error) {
	b, err := unseal("outcome", key, value)
	if err != nil {
		return s, h, err
	}
	d := decoder{b: b}
	s = settlement{
		seq: d.uvarint(), outcome: store.Outcome(d.byte()), at: d.time(), kept: d.clock(), ended: d.clock(), header: d.bytes(), reason: string(d.bytes()),
	}
	h, ok := decodeHeader(s.header)
	if d.bad || !ok {
		return s, h, damaged("outcome", key)
	}
	return s, h, nil
}

// settlement returns what the API calls so.
func (s *settlement) settlement(lane string, h *header, body []byte) store.Settlement {
	e := h.entry(lane, s.seq, s.kept)
	e.Body = body
	return store.Settlement{Entry: e, Outcome: s.outcome, Reason: s.reason, At: s.at}
}

// A hash stands for an event ID. It is one that a sender cannot find collisions for: an event that was taken for another would be lost.
type hash [16]byte

func encodeHashes(key []byte, hashes []hash) []byte {
	b := make([]byte, 4, 4+len(hash{})*len(hashes))
	for _, h := range hashes {
		b = append(b, h[:]...)
	}
	return seal(key, b)
}

func decodeHashes(key, value []byte) ([]hash, error) {
	b, err := unseal("list of event IDs", key, value)
	if err != nil {
		return nil, err
	}
	if len(b)%len(hash{}) != 0 {
		return nil, damaged("list of event IDs", key)
	}
	hashes := make([]hash, len(b)/len(hash{}))
	for i := range hashes {
		copy(hashes[i][:], b[i*len(hash{}):])
	}
	return hashes, nil
}

func appendString[T string | []byte](b []byte, s T) []byte {
	return append(binary.AppendUvarint(b, uint64(len(s))), s...)
}

// appendClock writes a moment of the store's time: nanoseconds as uvarint.
func appendClock(b []byte, t time.Duration) []byte { return binary.AppendUvarint(b, uint64(max(t, 0))) }

func appendBool(b []byte, v bool) []byte {
	if v {
		return append(b, 1)
	}
	return append(b, 0)
}

// appendTime writes a zero for the zero time, and otherwise a one, the Unix seconds and the nanoseconds. The location is not kept: times are
// read as UTC.
func appendTime(b []byte, t time.Time) []byte {
	if t.IsZero() {
		return append(b, 0)
	}
	b = append(b, 1)
	b = binary.AppendVarint(b, t.Unix())
	return binary.AppendUvarint(b, uint64(t.Nanosecond()))
}

// A decoder reads fields one after the other. Fields that are not there are zero; a field that is cut short makes it bad.
type decoder struct {
	b   []byte
	s   string // instead of b, for strings that share their memory
	bad bool
}

func (d *decoder) uvarint() uint64 {
	if len(d.b) == 0 {
		return 0
	}
	v, n := binary.Uvarint(d.b)
	if n <= 0 {
		d.fail()
		return 0
	}
	d.b = d.b[n:]
	return v
}

func (d *decoder) varint() int64 {
	if len(d.b) == 0 {
		return 0
	}
	v, n := binary.Varint(d.b)
	if n <= 0 {
		d.fail()
		return 0
	}
	d.b = d.b[n:]
	return v
}

func (d *decoder) uint32() uint32 {
	if len(d.b) < 4 {
		d.fail()
		return 0
	}
	v := binary.LittleEndian.Uint32(d.b)
	d.b = d.b[4:]
	return v
}

func (d *decoder) byte() byte {
	if len(d.b) == 0 {
		return 0
	}
	v := d.b[0]
	d.b = d.b[1:]
	return v
}

func (d *decoder) time() time.Time {
	if d.byte() == 0 {
		return time.Time{}
	}
	sec, nsec := d.varint(), d.uvarint()
	if nsec >= 1e9 {
		d.fail()
		return time.Time{}
	}
	return time.Unix(sec, int64(nsec)).UTC()
}

func (d *decoder) clock() time.Duration {
	n := d.uvarint()
	if n > math.MaxInt64 {
		d.fail()
		return 0
	}
	return time.Duration(n)
}

// size reads a number of bytes.
func (d *decoder) size() int {
	n := d.uvarint()
	if n > math.MaxInt32 {
		d.fail()
		return 0
	}
	return int(n)
}

func (d *decoder) bytes() []byte {
	n := d.size()
	if n > len(d.b) {
		d.fail()
		return nil
	}
	v := d.b[:n:n]
	d.b = d.b[n:]
	return v
}

// string reads a string from d.s.
func (d *decoder) string() string {
	if d.s == "" {
		return ""
	}
	var n uint64
	for i, shift := 0, 0; ; i, shift = i+1, shift+7 {
		if i == len(d.s) || shift > 28 {
			d.fail()
			return ""
		}
		n |= uint64(d.s[i]&0x7f) << shift
		if d.s[i] < 0x80 {
			d.s = d.s[i+1:]
			break
		}
	}
	if n > uint64(len(d.s)) {
		d.fail()
		return ""
	}
	v := d.s[:n]
	d.s = d.s[n:]
	return v
}

func (d *decoder) fail() { d.b, d.s, d.bad = nil, "", true }
