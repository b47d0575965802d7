package pagerdutytest

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"slices"
	"time"
)

// Request is one request as it came, with the routing key hidden.
type Request struct {
	Time   time.Time
	Method string
	Path   string
	Header http.Header
	// Key labels the routing key; [KeyLabel] of the same key is equal to it.
	Key string
	// Action, DedupKey and Summary are those of the event, as far as it has them.
	Action   string
	DedupKey string
	Summary  string
	// Body is the request's, with the routing key replaced by its label.
	Body []byte
	// Size is the number of bytes the body had on the wire.
	Size int
	// Status is what was answered; 0 if there was no answer.
	Status int
}

// KeyLabel returns the label under which requests and incidents show a
// routing key: a fingerprint that leads back to none.
func KeyLabel(routingKey string) string {
	if routingKey == "" {
		return ""
	}
	sum := sha256.Sum256([]byte(routingKey))
	return "key-" + hex.EncodeToString(sum[:4])
}

func (r *Request) fill(e *event, raw []byte) {
	r.Size = len(raw)
	r.Body = raw
	if e == nil {
		return
	}
	key := e.text("routing_key")
	r.Key = KeyLabel(key)
	if key != "" {
		r.Body = bytes.ReplaceAll(raw, []byte(key), []byte(r.Key))
	}
	r.Action, r.DedupKey, r.Summary = e.text("event_action"), e.text("dedup_key"), e.payloadText("summary")
}

// hideSecrets copies a header without what may hold a key or a password.
func hideSecrets(header http.Header) http.Header {
	h := header.Clone()
	for _, name := range []string{"X-Routing-Key", "Authorization", "Proxy-Authorization"} {
		if h.Get(name) != "" {
			h.Set(name, "hidden")
		}
	}
	return h
}

// Requests returns every request so far, in the order in which they were answered.
func (f *Fake) Requests() []Request {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.requests)
}
