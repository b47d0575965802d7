package webhook

import (
	"compress/gzip"
	"io"
	"net/http"
	"strings"
)

// read reads and decompresses the body of a request. The size is bounded on the wire, because empty
// gzip members have no end either, and after decompression, before the memory is taken.
func (r *Receiver) read(w http.ResponseWriter, req *http.Request, body *Body) *Refusal {
	compressed, ok := compression(req.Header)
	if !ok {
		w.Header().Set("Accept-Encoding", "gzip") // RFC 9110, section 15.5.16
		return refuse(http.StatusUnsupportedMediaType, "the only Content-Encoding that is taken is gzip")
	}
	if req.ContentLength > r.maxBytes {
		return tooLarge()
	}
	var from io.Reader = http.MaxBytesReader(w, req.Body, r.maxBytes)
	if compressed {
		unzip, err := gzip.NewReader(from)
		if err != nil {
			return readRefusal(err)
		}
		from = unzip
	}
	limited := &limitedReader{from: from, left: r.maxBytes, memory: &body.memory}
	if err := body.readAll(limited); err != nil {
		return readRefusal(err)
	}
	return body.memory.arrived()
}

// compression reports whether a body is compressed with gzip, and whether its coding is supported.
func compression(header http.Header) (compressed, ok bool) {
	for coding := range strings.SplitSeq(strings.Join(header.Values("Content-Encoding"), ","), ",") {
		switch strings.ToLower(strings.TrimSpace(coding)) {
		case "", "identity":
		case "gzip", "x-gzip": // the same: RFC 9110, section 8.4.1.3
			if compressed {
				return false, false // twice: no honest sender does that
			}
			compressed = true
		default:
			return false, false
		}
	}
	return compressed, true
}

// readAll is io.ReadAll into a pooled buffer, which grows with what arrives. It does not trust
// Content-Length.
func (b *Body) readAll(from io.Reader) (err error) {
	b.buffer = buffers.Get().(*[bufferSize]byte)
	b.bytes = b.buffer[:0]
	for err == nil {
		if len(b.bytes) == cap(b.bytes) {
			b.bytes = append(b.bytes, 0)[:len(b.bytes)]
		}
		var n int
		n, err = from.Read(b.bytes[len(b.bytes):cap(b.bytes)])
		b.bytes = b.bytes[:len(b.bytes)+n]
	}
	if err == io.EOF {
		return nil
	}
	return err
}

// A limitedReader bounds the size of a body and reserves memory for what it reads.
type limitedReader struct {
	from   io.Reader
	left   int64
	memory *reservation
}

func (l *limitedReader) Read(p []byte) (int, error) {
	n, err := l.from.Read(p)
	if l.left -= int64(n); l.left < 0 {
		return 0, tooLarge()
	}
	if refusal := l.memory.reserve(int64(n)); refusal != nil {
		return 0, refusal
	}
	return n, err
}
