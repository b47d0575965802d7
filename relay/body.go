package relay

import (
	"compress/gzip"
	"errors"
	"io"
	"net/http"
	"os"
	"strings"
	"sync/atomic"
)

// read returns the body of a request, decompressed. It is bounded on the wire, as members of a gzip file that hold nothing are endless
// too, and after decompression, before the memory is taken.
func (h *Handler) read(w http.ResponseWriter, req *http.Request, held *hold) ([]byte, *refusal) {
	zipped, ok := compression(req.Header)
	if !ok {
		w.Header().Set("Accept-Encoding", "gzip") // which of them would do: RFC 9110, section 15.5.16
		return nil, &refusal{code: http.StatusUnsupportedMediaType, message: "the only Content-Encoding that is taken is gzip"}
	}
	if req.ContentLength > h.maxBytes {
		return nil, tooLarge()
	}
	var from io.Reader = http.MaxBytesReader(w, req.Body, h.maxBytes)
	if zipped {
		unzip, err := gzip.NewReader(from)
		if err != nil {
			return nil, unreadable(err)
		}
		from = unzip
	}
	body, err := io.ReadAll(&meter{from: from, left: h.maxBytes, held: held})
	if err != nil {
		return nil, unreadable(err)
	}
	return body, nil
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

// A room bounds the memory of all that is being taken at once. It turns away rather than lets wait: those who wait hold
// memory themselves, and a sender that waits for slow ones is delayed by them.
type room struct {
	max  int64
	used atomic.Int64
}

// A hold is one webhook's part of a room.
type hold struct {
	room  *room
	bytes int64
}

func (h *hold) take(n int64) bool {
	if h.room.used.Add(n) > h.room.max {
		h.room.used.Add(-n)
		return false
	}
	h.bytes += n
	return true
}

func (h *hold) release() { h.room.used.Add(-h.bytes) }
