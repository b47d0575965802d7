package pagerdutytest

import (
	"bytes"
	"encoding/json"
	"net/http"
	"slices"
	"time"
)

// Request is one request as it came, with the routing key replaced.
type Request struct {
	Time   time.Time // when all of it had arrived
	Method string
	Host   string // names the region, with a Transport
	Path   string
	Header http.Header

	// Key is the label of the routing key: [KeyLabel] of the same key is equal to it.
	Key string
	// Action, DedupKey and Summary are those of the event, or "".
	Action   string
	DedupKey string
	Summary  string
	// Body is the body, with the routing key replaced by its label. Nil: the body was not read.
	Body []byte
	// Size is the number of bytes of the body, at most 2 MiB, which is all that is read.
	Size int

	// Fault is the fault that the request got; the zero Fault if none.
	Fault Fault
	// Status and Answer are the status and body of the answer, or 0 and "" if there was none. The
	// client may have gone away before it came.
	Status int
	Answer string
	// Dropped: the event was accepted and then dropped, because it acknowledges or resolves an alert
	// that is not open under its routing key.
	Dropped bool
}

// Requests returns all requests, in the order in which they came. Do not change their bodies and
// headers, which belong to the Fake.
func (f *Fake) Requests() []Request {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.requests)
}

func (r *Request) fill(e event, raw []byte) {
	key := e.text("routing_key")
	r.Key, r.Size, r.Body = KeyLabel(key), len(raw), raw
	r.Action, r.DedupKey = e.text("event_action"), e.text("dedup_key")
	r.Summary = e.object("payload").text("summary")
	if key != "" && !bytes.Contains(raw, []byte(key)) {
		// The key is written with escapes. Log the same event without them.
		e = event(cloneObject(e))
		e["routing_key"] = r.Key
		r.Body, _ = json.Marshal(e) // cannot fail: it was decoded
	}
	r.hideSecrets(key)
}
