package relay

import (
	"compress/gzip"
	"container/list"
	"errors"
	"io"
	"net/http"
	"os"
	"strings"
	"sync"
)

// usualBody is more than most webhooks have, in bytes.
const usualBody = 8 << 10

// bodies are buffers that are used again.
var bodies = sync.Pool{New: func() any { return new([usualBody]byte) }}

// A body is what a webhook brought, until it is given back.
type body struct {
	bytes []byte
	room  *[usualBody]byte
}

func (b *body) giveBack() {
	bodies.Put(b.room)
	*b = body{}
}

// readBody is io.ReadAll into a buffer that is there. A larger body gets a larger one, step by step, and a length that is a lie gets nothing.
func readBody(from io.Reader) (b body, err error) {
	b.room = bodies.Get().(*[usualBody]byte)
	b.bytes = b.room[:0]
	for err == nil {
		if len(b.bytes) == cap(b.bytes) {
			b.bytes = append(b.bytes, 0)[:len(b.bytes)]
		}
		var n int
		n, err = from.Read(b.bytes[len(b.bytes):cap(b.bytes)])
		b.bytes = b.bytes[:len(b.bytes)+n]
	}
	if err == io.EOF {
		return b, nil
	}
	b.giveBack()
	return b, err
}

// read returns the body of a request, decompressed, to be given back. It is bounded on the wire, as members of a gzip file that hold nothing
// are endless too, and after decompression, before the memory is taken.
func (h *Handler) read(w http.ResponseWriter, req *http.Request, held *hold) (body, *refusal) {
	zipped, ok := compression(req.Header)
	if !ok {
		w.Header().Set("Accept-Encoding", "gzip") // which of them would do: RFC 9110, section 15.5.16
		return body{}, &refusal{code: http.StatusUnsupportedMediaType, message: "the only Content-Encoding that is taken is gzip"}
	}
	if req.ContentLength > h.maxBytes {
		return body{}, tooLarge()
	}
	var from io.Reader = http.MaxBytesReader(w, req.Body, h.maxBytes)
	if zipped {
		unzip, err := gzip.NewReader(from)
		if err != nil {
			return body{}, unreadable(err)
		}
		from = unzip
	}
	b, err := readBody(&meter{from: from, left: h.maxBytes, held: held})
	if err != nil {
		return b, unreadable(err)
	}
	if !held.arrived() {
		b.giveBack()
		return b, busy()
	}
	return b, nil
}

// compression reports whether a body is compressed with gzip, and whether its coding is known at all.
func compression(header http.Header) (zipped, ok bool) {
	for coding := range strings.SplitSeq(strings.Join(header.Values("Content-Encoding"), ","), ",") {
		switch strings.ToLower(strings.TrimSpace(coding)) {
		case "", "identity":
		case "gzip", "x-gzip": // the same: RFC 9110, section 8.4.1.3
			if zipped {
				return false, false // twice over: nobody does that in good faith
			}
			zipped = true
		default:
			return false, false
		}
	}
	return zipped, true
}

// unreadable says why a body could not be read.
func unreadable(err error) *refusal {
	if no, ok := errors.AsType[*refusal](err); ok {
		return no
	}
	if _, ok := errors.AsType[*http.MaxBytesError](err); ok {
		return tooLarge()
	}
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return &refusal{code: http.StatusRequestTimeout, message: "the body did not arrive in time; nothing was kept, send it again"}
	}
	return &refusal{code: http.StatusBadRequest, message: "the body did not arrive whole, or is not the gzip that Content-Encoding promises"}
}

func tooLarge() *refusal {
	return &refusal{code: http.StatusRequestEntityTooLarge, message: "the body is larger than the limit; nothing was kept"}
}

// A meter reads no more than it may and there is room for.
type meter struct {
	from io.Reader
	left int64
	held *hold
}

func (m *meter) Read(p []byte) (int, error) {
	n, err := m.from.Read(p)
	if m.left -= int64(n); m.left < 0 {
		return 0, tooLarge()
	}
	if !m.held.take(int64(n)) {
		return 0, busy()
	}
	return n, err
}

// A room bounds the memory of all that is being taken at once. What comes last finds it: of the bodies that are still arriving, the one
// that began first gives way, so that senders that never come to an end cannot keep out one that does. When only those are left that
// have arrived or that cannot be stopped, one more is turned away rather than made to wait: who waits holds memory too.
type room struct {
	max int64

	mu       sync.Mutex
	used     int64     // guarded by mu
	arriving list.List // of *hold, the one that began first in front; guarded by mu
}

// A hold is one webhook's part of a room.
type hold struct {
	room  *room
	cut   func()        // makes the reading of the body fail; nil if that cannot be done, or need not any more; guarded by room.mu
	place *list.Element // in arriving, or nil; guarded by room.mu
	bytes int64         // guarded by room.mu
	lost  bool          // it gave way; guarded by room.mu
}

// take asks for n more bytes. After false there is nothing left to do but to release.
func (h *hold) take(n int64) bool {
	r := h.room
	r.mu.Lock()
	defer r.mu.Unlock()
	for !h.lost && r.used+n > r.max {
		first := r.arriving.Front()
		if first == nil {
			return false
		}
		first.Value.(*hold).giveWay()
	}
	if h.lost {
		return false
	}
	if h.place == nil && h.cut != nil {
		h.place = r.arriving.PushBack(h)
	}
	r.used += n
	h.bytes += n
	return true
}

// giveWay is called with room.mu held. The memory is counted as free a moment before it is.
func (h *hold) giveWay() {
	h.cut()
	h.lost = true
	h.leave()
}

// leave is called with room.mu held, and may be called again.
func (h *hold) leave() {
	if h.place != nil {
		h.room.arriving.Remove(h.place) // which does nothing the second time
	}
	h.room.used -= h.bytes
	h.bytes = 0
}

// arrived says that the body has arrived whole and gives way to none, unless it did already: then it returns false.
func (h *hold) arrived() bool {
	h.room.mu.Lock()
	defer h.room.mu.Unlock()
	if h.place != nil {
		h.room.arriving.Remove(h.place)
	}
	h.cut = nil
	return !h.lost
}

// release is the end of a hold, and must come before its request's: cut would stop the next one of the connection.
func (h *hold) release() {
	h.room.mu.Lock()
	defer h.room.mu.Unlock()
	h.leave()
}
