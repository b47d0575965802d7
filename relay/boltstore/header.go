package boltstore

import (
	"encoding/binary"
	"hash/crc32"
	"time"

	"github.com/guance-relay/guance-relay/guance"
	"github.com/guance-relay/guance-relay/relay/store"
)

// A header is an event without its source and body. All lanes of an event have the same one.
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

func encodeHeader(e *store.Event) []byte {
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
	strings := string(d.b)
	h.id = d.string(strings)
	h.problem = d.string(strings)
	h.trace = d.string(strings)
	return h, !d.bad
}

// entry returns an entry of the event that h belongs to, without its body.
func (h *header) entry(lane string, seq uint64, kept time.Duration) store.Entry {
	return store.Entry{
		Lane: lane, Seq: seq, ID: h.id, Problem: h.problem, State: h.state, Level: h.level,
		Time: h.time, Accepted: h.accepted, Kept: kept, Trace: h.trace,
	}
}

// matches reports whether body is the one that h was made for.
func (h *header) matches(body []byte) bool {
	return len(body) == h.bodySize && crc32.Checksum(body, castagnoli) == h.bodySum
}
