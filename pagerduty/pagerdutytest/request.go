package pagerdutytest

import (
	"bytes"
	"encoding/json"
	"net/http"
	"slices"
	"time"
)

// Request is one request as it came, with the routing key hidden.
type Request struct {
	Time   time.Time // when all of it had come
	Method string
	Host   string // which region was meant, with a Transport
	Path   string
	Header http.Header

	// Key labels the routing key; [KeyLabel] of the same key is equal to it.
	Key string
	// Action, DedupKey and Summary are those of the event, as far as it has them.
	Action   string
	DedupKey string
	Summary  string
	// Body is the request's, with the routing key replaced by its label. It
	// is nil if nobody read it.
	Body []byte
	// Size is the number of bytes the body had on the wire. What is above
	// 2 MiB is neither read nor counted.
	Size int

	// Fault is what was in the request's way; the zero Fault is nothing.
	Fault Fault
	// Status and Answer are the answer's status and body: 0 and "" if there
	// was none. Whether the client waited for it is not known.
	Status int
	Answer string
	// Dropped: the event was accepted and then dropped, for it was the
	// acknowledge or resolve of no alert that is open under its routing key.
	Dropped bool
}

// Requests returns every request so far, in the order in which they came. The
// bodies and headers belong to the Fake and must not be changed.
func (f *Fake) Requests() []Request {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.requests)
}

func (r *Request) fill(e event, raw []byte) {
	key := e.text("routing_key")
	r.Key, r.Size, r.Body = KeyLabel(key), len(raw), raw
	r.Action, r.DedupKey, r.Summary = e.text("event_action"), e.text("dedup_key"), e.object("payload").text("summary")
	if key != "" && !bytes.Contains(raw, []byte(key)) {
		// Written with escapes. The log shows the same event without.
		e = event(cloneObject(e))
		e["routing_key"] = r.Key
		r.Body, _ = json.Marshal(e) // what was decoded encodes
	}
	r.hideSecrets(key)
}
