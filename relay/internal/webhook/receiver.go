// Package webhook receives webhooks over HTTP. It checks where a webhook comes from and which
// credentials it carries. It reads the body within limits of time, size and memory.
//
//	body, refusal := receiver.Receive(w, req)
//	if refusal != nil {
//		return refusal // answer with its Code and Message
//	}
//	defer body.Release()
//
// The package does not know what a body means. The caller decodes it and answers the request.
package webhook

import (
	"cmp"
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"time"

	"golang.org/x/net/http/httpguts"

	"github.com/guance-relay/guance-relay/guance"
)

// A Config has the fields of relay.HandlerOptions, which documents them.
type Config struct {
	Tokens         []string
	TokenSource    func() []string
	Header         string
	Basic          []string
	Allow          []netip.Prefix
	TrustedProxies []netip.Prefix
	NoAuth         bool
	Sources        []Source
	MaxBytes       int64
	MaxHeldBytes   int64
	ReadTimeout    time.Duration
}

// A Receiver receives webhooks. It is safe for concurrent use.
type Receiver struct {
	header      string // may carry a token
	sources     []source
	proxies     []netip.Prefix
	maxBytes    int64
	readTimeout time.Duration
	memory      memoryLimit
	largeSlots  chan struct{} // one element for each large body that is being decoded and stored
}

// New returns the receiver of a configuration. The errors have no prefix and hold no secret.
func New(c Config) (*Receiver, error) {
	r := &Receiver{
		header:      cmp.Or(c.Header, "X-Relay-Token"),
		maxBytes:    cmp.Or(c.MaxBytes, 1<<20),
		readTimeout: cmp.Or(c.ReadTimeout, 15*time.Second),
		largeSlots:  make(chan struct{}, maxLarge),
	}
	r.memory.max = cmp.Or(c.MaxHeldBytes, 64*r.maxBytes)
	var err error
	if r.sources, err = newSources(c); err != nil {
		return nil, err
	}
	if r.proxies, err = normalize("TrustedProxies", c.TrustedProxies); err != nil {
		return nil, err
	}
	tokens, basic := r.schemes()
	switch {
	case !httpguts.ValidHeaderFieldName(r.header):
		return nil, fmt.Errorf("%q cannot be the name of a header", r.header)
	case c.NoAuth && (tokens || basic):
		return nil, errors.New("NoAuth is set and a secret too: remove one of them")
	case c.NoAuth && len(c.Sources) > 0:
		return nil, errors.New("NoAuth is set and Sources too: remove one of them")
	case !c.NoAuth && !tokens && !basic && len(c.Allow) == 0 && len(c.Sources) == 0:
		return nil, errors.New("nothing says who may send webhooks: set a token, a user and password " +
			"or the allowed networks, or NoAuth to take them from anybody")
	case r.maxBytes < 0 || r.maxBytes > guance.MaxBodySize:
		return nil, fmt.Errorf("MaxBytes is %d; it must be between 0 and %d",
			r.maxBytes, guance.MaxBodySize)
	case r.memory.max < r.maxBytes:
		return nil, fmt.Errorf("MaxHeldBytes is %d, which is less than one body of MaxBytes, %d",
			r.memory.max, r.maxBytes)
	case r.readTimeout < 0:
		return nil, fmt.Errorf("ReadTimeout is %v; it must not be negative", r.readTimeout)
	}
	return r, nil
}

// Receive checks the sender and reads the body of a webhook. Source of the body says who the sender
// is. Receive sets the headers that a refusal needs and writes no answer. The caller must call
// Release before its handler returns.
func (r *Receiver) Receive(w http.ResponseWriter, req *http.Request) (*Body, *Refusal) {
	body := &Body{memory: reservation{limit: &r.memory}, largeSlots: r.largeSlots}
	// The deadline also bounds a refused request: net/http reads the rest of its body to keep the
	// connection. net/http removes the deadline at the end of the body. A ResponseWriter that does
	// not support deadlines, such as a recorder, has none.
	control := http.NewResponseController(w)
	if err := control.SetReadDeadline(time.Now().Add(r.readTimeout)); err == nil {
		body.memory.abort = func() { _ = control.SetReadDeadline(time.Unix(1, 0)) } // it worked above
	}
	source, refusal := r.authorize(w.Header(), req)
	if refusal != nil {
		return nil, refusal
	}
	body.Source = source.name
	arrived := false
	defer func() {
		if !arrived { // also after a panic of req.Body
			body.Release()
		}
	}()
	if refusal := r.read(w, req, body); refusal != nil {
		return nil, refusal
	}
	arrived = true
	return body, nil
}

// authorize checks all but the body, and returns the source.
func (r *Receiver) authorize(header http.Header, req *http.Request) (*source, *Refusal) {
	if req.Method != http.MethodPost {
		header.Set("Allow", http.MethodPost)
		return nil, refuse(http.StatusMethodNotAllowed, "the webhook takes POST")
	}
	source, refusal := r.find(req)
	if refusal != nil && refusal.Code == http.StatusUnauthorized {
		r.challenge(header)
	}
	return source, refusal
}
