package relay

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/netip"
	"strconv"
	"sync/atomic"
	"time"

	"golang.org/x/time/rate"

	"github.com/guance-relay/guance-relay/guance"
	"github.com/guance-relay/guance-relay/relay/store"
)

// HandlerOptions are the settings of a [Handler]. Printing them shows none of them, as some are secrets.
//
// Who may come in has no default. Two rules hold together: if Allow is set, a webhook must come from one of its networks; if any
// secret is set (Tokens, TokenSource, Basic), a webhook must carry one of them. Without Allow and without a secret [NewHandler] fails,
// unless NoAuth asks for it.
type HandlerOptions struct {
	// Tokens are secrets that a webhook may carry as Authorization: Bearer, in the header named by Header, or as ?token= in the URL.
	// Several are good at once, for rotation.
	Tokens []string `json:"-"`
	// TokenSource, if not nil, is asked on each webhook for more tokens, so that they can change without a restart. It must be quick
	// and safe for concurrent use; while it returns none, or panics, none of its tokens is good. A panic is logged, at most once a minute.
	TokenSource func() []string `json:"-"`
	// Header is the name of the header that may carry a token as it is; empty means X-Relay-Token. Guance's console can set one header.
	Header string
	// Basic are user:password pairs that a webhook may carry as HTTP basic authentication, in the URL that is given to Guance for
	// instance. Several are good at once.
	Basic []string `json:"-"`
	// Allow are the networks that webhooks may come from; empty means all. Guance does not document its source addresses: ask it for
	// those of your site. A prefix that holds every address is refused, because it would be NoAuth by another name.
	Allow []netip.Prefix
	// TrustedProxies are the networks of the reverse proxies in front of the handler. From them, and from nobody else, X-Forwarded-For
	// is believed: read from its end, the first address that is not a trusted proxy's is the sender. Empty means that the peer of the
	// connection is the sender, whatever the header says.
	TrustedProxies []netip.Prefix
	// NoAuth takes webhooks without a secret. It cannot be set together with one.
	NoAuth bool
	// MaxBytes bounds a body, as sent and after decompression; zero means 1 MiB, which is twice the largest event that PagerDuty takes.
	// It cannot be above guance.MaxBodySize.
	MaxBytes int64
	// MaxHeldBytes bounds the memory of all the webhooks that are being taken together; above it, the one whose body has been arriving
	// for the longest is answered 503, or one more if all have arrived. Zero means 64 times MaxBytes: 64 MiB, or several thousand
	// webhooks of the usual size at once. Besides, two large bodies are decoded at once, which takes up to 15 times MaxBytes each; others
	// wait for them.
	MaxHeldBytes int64
	// ReadTimeout is how long a body may take to arrive, whatever the server's own ReadTimeout; zero means 15 s.
	ReadTimeout time.Duration
}

// Format implements [fmt.Formatter] for every verb: options that end up in a log must not take their secrets there.
func (HandlerOptions) Format(f fmt.State, _ rune) {
	_, _ = io.WriteString(f, "relay.HandlerOptions{not shown}")
}

// A Handler is the http.Handler that takes Guance's webhook. It may be mounted on any path of any server, and used concurrently.
//
// It answers with a small JSON object: status is "accepted" or "error", message says what was wrong, reason names it for programs where
// the status code does not, and events holds one [Receipt] for each event in the body, in its order.
//
//	202  every event of the body is durable, or was before (a duplicate), or asks for nothing (ignored)
//	400  the body is not JSON although its Content-Type did not say text/plain, or did not arrive whole
//	401  no valid secret
//	403  the sender's network is not allowed, whatever secret it carries
//	405  not POST
//	408  the body did not arrive in time
//	413  the body is larger than MaxBytes, or nests deeper or holds more events or members than [guance.Decode] takes
//	415  a Content-Encoding other than gzip
//	503  with Retry-After; the reason is full, unavailable, failed or closing for the store, and busy for the handler or a store that does
//	     not answer. After failed alone it is not certain whether the events were kept; after the others nothing was
//
// Everything that is understood and not wanted is answered 202 as well, test messages and unknown kinds included, because Guance
// switches off a target that has failed for two days (Guance release notes, 21 August 2024). The events of one body are kept all or
// none, and a body may be sent again after any answer: what is known already is a duplicate and harmless.
type Handler struct {
	relay       *Relay
	networks    *networks
	secrets     *secrets
	maxBytes    int64
	readTimeout time.Duration
	room        room
	large       chan struct{} // holds as many as there are large bodies being decoded and kept
	refusals    complaint     // of what the sender does wrong
	failures    complaint     // of what is wrong here
	panics      complaint     // of the TokenSource
}

// Format implements [fmt.Formatter] for every verb: the digest of a short secret is nearly as good as the secret.
func (*Handler) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, "relay.Handler{not shown}") }

// NewHandler returns the handler of r. It fails if r is nil, if nobody was said to be let in, and on settings that contradict each other: a hole
// or a wall in front of the alerts must show at the start, and not in the first night.
func NewHandler(r *Relay, opts *HandlerOptions) (*Handler, error) {
	if r == nil {
		return nil, errors.New("relay: NewHandler needs a Relay: New returns one")
	}
	if opts == nil {
		opts = &HandlerOptions{}
	}
	h := &Handler{relay: r, maxBytes: cmp.Or(opts.MaxBytes, 1<<20), readTimeout: cmp.Or(opts.ReadTimeout, 15*time.Second)}
	h.refusals, h.failures, h.panics = newComplaint(), newComplaint(), newComplaint()
	h.large = make(chan struct{}, largeAtOnce)
	h.room.max = cmp.Or(opts.MaxHeldBytes, 64*h.maxBytes)
	var err error
	if h.secrets, err = newSecrets(opts); err != nil {
		return nil, err
	}
	if source := h.secrets.source; source != nil {
		h.secrets.source = func() (tokens []string) {
			defer h.panics.recovered(r.log, "relay: TokenSource panicked; none of its tokens is good", func() { tokens = nil })
			return source()
		}
	}
	if h.networks, err = newNetworks(opts.Allow, opts.TrustedProxies); err != nil {
		return nil, err
	}
	switch guarded := !h.secrets.none(); {
	case guarded && opts.NoAuth:
		return nil, errors.New("relay: NoAuth is set and a secret too: remove one of them")
	case !guarded && !opts.NoAuth && len(opts.Allow) == 0:
		return nil, errors.New("relay: nothing says who may send webhooks: set a token, a user and password or the allowed networks, or NoAuth to take them from anybody")
	case h.maxBytes < 0 || h.maxBytes > guance.MaxBodySize:
		return nil, fmt.Errorf("relay: MaxBytes is %d; it must be between 0 and %d", h.maxBytes, guance.MaxBodySize)
	case h.room.max < h.maxBytes:
		return nil, fmt.Errorf("relay: MaxHeldBytes is %d, which is less than one body of MaxBytes, %d", h.room.max, h.maxBytes)
	case h.readTimeout < 0:
		return nil, fmt.Errorf("relay: ReadTimeout is %v; it must not be negative", h.readTimeout)
	}
	return h, nil
}

// answer is the body of every answer.
type answer struct {
	Status  string    `json:"status"`
	Reason  string    `json:"reason,omitempty"`
	Message string    `json:"message,omitempty"`
	Events  []Receipt `json:"events,omitzero"` // an empty list is an answer too
}

// A refusal is any answer but 202.
type refusal struct {
	code       int
	reason     string // for programs, where the code does not say it all
	message    string // for people; it names no secret, path or address
	retryAfter int    // in seconds
	cause      error  // for the log alone
}

func (r *refusal) Error() string { return r.message }

// ServeHTTP takes one webhook.
func (h *Handler) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	// Before anything else, because net/http reads on after a refusal to keep the connection, as slowly as the rest comes; it lifts the
	// deadline itself where the body ends. What does not support deadlines (a recorder, a wrapped ResponseWriter) does without.
	control, held := http.NewResponseController(w), &hold{room: &h.room}
	if err := control.SetReadDeadline(time.Now().Add(h.readTimeout)); err == nil {
		held.cut = func() { _ = control.SetReadDeadline(time.Unix(1, 0)) } // it could before
	}
	receipts, no := h.take(w, req, held)
	if no != nil {
		h.refuse(w, req, no)
		return
	}
	respond(w, http.StatusAccepted, answer{Status: "accepted", Events: receipts})
}

// acceptTimeout is how long a store may take: less than the write timeout of a usual server, so that there is an answer. The store
// keeps nothing of a call that it gave up.
const acceptTimeout = 20 * time.Second

// take does all but answer.
func (h *Handler) take(w http.ResponseWriter, req *http.Request, held *hold) ([]Receipt, *refusal) {
	if req.Method != http.MethodPost {
		w.Header().Set("Allow", http.MethodPost)
		return nil, &refusal{code: http.StatusMethodNotAllowed, message: "the webhook takes POST"}
	}
	// The network comes first: a stranger shall not learn whether a secret is good.
	if !h.networks.admit(h.networks.sender(req)) {
		return nil, &refusal{code: http.StatusForbidden, message: "webhooks are not taken from this address"}
	}
	if !h.secrets.none() && !h.secrets.known(req) {
		h.secrets.challenge(w.Header())
		return nil, &refusal{code: http.StatusUnauthorized, message: "no valid secret: " + h.secrets.ways()}
	}
	defer held.release()
	body, no := h.read(w, req, held)
	if no != nil {
		return nil, no
	}
	// A client that hangs up while the store writes has most likely run out of patience, and Guance promises no second try: a webhook
	// that has arrived whole is kept, whether or not anybody waits for the answer. If it does come again, it is a duplicate.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(req.Context()), acceptTimeout)
	defer cancel()
	done, no := h.admit(ctx, body.bytes, held)
	if no != nil {
		body.giveBack()
		return nil, no
	}
	defer done()
	events, err := guance.Decode(body.bytes, req.Header.Get("Content-Type"))
	body.giveBack()
	if _, limit := errors.AsType[*guance.LimitError](err); limit {
		return nil, &refusal{code: http.StatusRequestEntityTooLarge, message: err.Error()}
	}
	if err != nil {
		return nil, &refusal{code: http.StatusBadRequest, message: err.Error()}
	}
	if !held.take(int64(len(events)) * eventWeight) {
		return nil, busy()
	}
	receipts, err := h.relay.Accept(ctx, events...)
	if err != nil {
		return nil, unavailable(err)
	}
	return receipts, nil
}

func busy() *refusal {
	return &refusal{
		code: http.StatusServiceUnavailable, reason: "busy", retryAfter: 5,
		message: "too many webhooks at once; nothing was kept, send it again",
	}
}

// unavailable says in the answer which state of the store it is, and in the log alone what the disk said.
func unavailable(err error) *refusal {
	r := &refusal{code: http.StatusServiceUnavailable, cause: err}
	switch {
	case errors.Is(err, store.ErrFailed): // comes first, as it alone leaves a doubt, whatever else the error wraps
		r.reason, r.retryAfter = "failed", 60
		r.message = "the store has failed; whether the events were kept is not certain, send them again"
	case errors.Is(err, store.ErrFull):
		r.reason, r.retryAfter = "full", 30
		r.message = "the store is full; nothing was kept, send the events again"
	case errors.Is(err, store.ErrClosed):
		r.reason, r.retryAfter = "closing", 10
		r.message = "the relay is stopping; nothing was kept, send the events again"
	case errors.Is(err, context.DeadlineExceeded):
		r.reason, r.retryAfter = "busy", 10
		r.message = "the store did not answer in time; nothing was kept, send the events again"
	default: // such as a file that was moved away; a Store promises that all errors but ErrFailed leave nothing behind
		r.reason, r.retryAfter = "unavailable", 30
		r.message = "the store cannot take events now; nothing was kept, send the events again"
	}
	return r
}

func (h *Handler) refuse(w http.ResponseWriter, req *http.Request, no *refusal) {
	level, to := slog.LevelWarn, &h.refusals
	if no.code >= http.StatusInternalServerError {
		level, to = slog.LevelError, &h.failures
		w.Header().Set("Retry-After", strconv.Itoa(no.retryAfter))
	}
	// The URL is not logged: it may hold the secret.
	to.say(func(n uint64) {
		attrs := []slog.Attr{
			slog.Int("status", no.code), slog.String("message", no.message), slog.String("sender", h.networks.sender(req).String()), slog.Uint64("refused", n),
		}
		if no.cause != nil {
			attrs = append(attrs, slog.String("error", no.cause.Error()))
		}
		h.relay.log.LogAttrs(req.Context(), level, "relay: webhook refused", attrs...)
	})
	respond(w, no.code, answer{Status: "error", Reason: no.reason, Message: no.message})
}

func respond(w http.ResponseWriter, code int, a answer) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(code)
	_ = json.NewEncoder(w).Encode(a) // the client is gone if this fails; what was accepted is kept
}

// A complaint is said once a minute at most, with the number of times it was due: a log must not grow as fast as somebody can knock.
type complaint struct {
	due   atomic.Uint64
	often rate.Sometimes
}

func newComplaint() complaint { return complaint{often: rate.Sometimes{Interval: time.Minute}} }

func (c *complaint) say(log func(due uint64)) {
	c.due.Add(1)
	c.often.Do(func() { log(c.due.Swap(0)) })
}
