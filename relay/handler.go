package relay

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/netip"
	"slices"
	"strconv"
	"time"

	"github.com/guance-relay/guance-relay/guance"
	"github.com/guance-relay/guance-relay/relay/internal/webhook"
	"github.com/guance-relay/guance-relay/relay/store"
)

// HandlerOptions are the settings of a [Handler]. Printing them shows no field, as some are secret.
// The zero value of a field is its default, and a negative value is an error.
//
// Who may send webhooks has no default. Two rules apply together. If Allow is set, a webhook must
// come from one of its networks. If any secret is set (Tokens, TokenSource, Basic), a webhook must
// carry a valid one. With neither, [NewHandler] fails unless NoAuth or Sources are set.
//
// These are the rules of the source without a name. Each of Sources has its own. If only Sources
// are set, every webhook must be of one of them.
type HandlerOptions struct {
	// Tokens are secrets that a webhook may carry as Authorization: Bearer, in the header named by
	// Header, or as ?token= in the URL. All of them are valid, so that they can be rotated.
	Tokens []string `json:"-"`
	// TokenSource, if not nil, is called for each webhook and returns more tokens. They can change
	// without a restart. It must be quick and safe for concurrent use. If it panics, it counts as
	// returning none, and the panic is logged, at most once a minute.
	TokenSource func() []string `json:"-"`
	// Header is the name of the header that may carry a token and nothing else. Empty means
	// X-Relay-Token. Guance's console can set one header.
	Header string
	// Basic are user:password pairs that a webhook may carry as HTTP basic authentication, for
	// instance in the URL that Guance is given. All of them are valid.
	Basic []string `json:"-"`
	// Allow are the networks that webhooks may come from. Empty means all. Guance does not document
	// its source addresses: ask it for those of your site. A prefix that holds every address is an
	// error: use NoAuth instead.
	Allow []netip.Prefix
	// TrustedProxies are the networks of the reverse proxies in front of the handler. The handler
	// reads X-Forwarded-For only if the peer of the connection is one of them. The last address in
	// it that is not a trusted proxy is the sender. Otherwise the peer is the sender.
	TrustedProxies []netip.Prefix
	// NoAuth takes webhooks without a secret. It cannot be set together with one, or with Sources.
	NoAuth bool
	// Sources are senders that have a name, and problems of their own. Empty means that there is only
	// the source without a name.
	Sources []Source
	// MaxBytes bounds the size of a body, as sent and after decompression. Zero means 1 MiB, which is
	// twice the largest event that PagerDuty takes. The maximum is guance.MaxBodySize.
	MaxBytes int64
	// MaxHeldBytes bounds the memory of all webhooks that are being received. At the limit, the one
	// whose body has been arriving longest is answered 503; if all have arrived, a new one is. Zero
	// means 64 times MaxBytes: 64 MiB, enough for several thousand webhooks of the usual size. In
	// addition, two large bodies are decoded at once and take up to 15 times MaxBytes each. Other
	// large bodies wait for them.
	MaxHeldBytes int64
	// ReadTimeout is how long a body may take to arrive, whatever the server's ReadTimeout. Zero
	// means 15 s.
	ReadTimeout time.Duration
}

// Format implements [fmt.Formatter] for every verb, so that a log of the options holds no secret.
func (HandlerOptions) Format(f fmt.State, _ rune) {
	_, _ = io.WriteString(f, "relay.HandlerOptions{not shown}")
}

// A Handler is the http.Handler for Guance's webhooks. Mount it on any path of any server. It is
// safe for concurrent use.
//
// It answers with a small JSON object. status is "accepted" or "error". message says what was
// wrong. reason names it for programs where the status code is not enough. events holds one
// [Receipt] for each event of the body, in its order.
//
//	202  each event of the body is durable, was so before (a duplicate), needs no action (ignored),
//	     or was not kept because of the configuration; the Fate in its receipt says why
//	400  the body is not JSON although its Content-Type is not text/plain, or did not arrive whole
//	401  no secret that is valid from the sender's network, or secrets of two sources
//	403  the sender's network is not allowed, whatever secret it carries
//	405  not POST
//	408  the body did not arrive in time
//	413  the body is larger than MaxBytes, nests too deep for [guance.Decode], or has too many
//	     events or members for it
//	415  a Content-Encoding other than gzip
//	503  with Retry-After. The reason is full, unavailable, failed or closing for the store, and busy
//	     for the handler or a store that does not answer. The message says whether nothing was kept,
//	     or whether that is not certain: after failed, and after a store that could not be reached
//
// Test messages and events of unknown kind are answered 202 as well, because Guance switches off a
// target that has failed for two days (Guance release notes, 21 August 2024). All events of a body
// are kept, or none. A body may be sent again after any answer: known events are duplicates.
type Handler struct {
	relay    *Relay
	receiver *webhook.Receiver
	sources  map[string]Source
	rejected sampledLog // webhooks with a mistake of the sender
	shared   sampledLog // webhooks with a token of two sources
	failed   sampledLog // webhooks that this side could not take
	panics   sampledLog // of the TokenSource
}

// Format implements [fmt.Formatter] for every verb. It shows no digest: that of a short secret is
// nearly as good as the secret.
func (*Handler) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, "relay.Handler{not shown}") }

// NewHandler returns the handler of r. It fails if r is nil, if the options do not say who may send
// webhooks, and if they contradict each other.
func NewHandler(r *Relay, opts *HandlerOptions) (*Handler, error) {
	if r == nil {
		return nil, errors.New("relay: NewHandler needs a Relay: New returns one")
	}
	if opts == nil {
		opts = &HandlerOptions{}
	}
	h := &Handler{relay: r, sources: make(map[string]Source, len(opts.Sources))}
	h.rejected, h.shared = newSampledLog(), newSampledLog()
	h.failed, h.panics = newSampledLog(), newSampledLog()
	config := webhook.Config{
		Tokens: opts.Tokens, TokenSource: h.guarded(opts.TokenSource), Header: opts.Header,
		Basic: opts.Basic, Allow: opts.Allow, TrustedProxies: opts.TrustedProxies, NoAuth: opts.NoAuth,
		MaxBytes: opts.MaxBytes, MaxHeldBytes: opts.MaxHeldBytes, ReadTimeout: opts.ReadTimeout,
	}
	for _, s := range opts.Sources {
		if err := s.check(); err != nil {
			return nil, err
		}
		if _, known := h.sources[s.Name]; known {
			return nil, fmt.Errorf("relay: two sources have the name %q", s.Name)
		}
		s.Workspaces = slices.Clone(s.Workspaces)
		h.sources[s.Name] = s
		config.Sources = append(config.Sources, webhook.Source{
			Name: s.Name, Tokens: s.Tokens, TokenSource: h.guarded(s.TokenSource), Basic: s.Basic,
			Allow: s.Allow,
		})
	}
	var err error
	if h.receiver, err = webhook.New(config); err != nil {
		return nil, fmt.Errorf("relay: %w", err)
	}
	r.telemetry.addHandler(h.receiver.SourceNames())
	return h, nil
}

// guarded returns a TokenSource that returns no tokens if source panics.
func (h *Handler) guarded(source func() []string) func() []string {
	if source == nil {
		return nil
	}
	return func() (tokens []string) {
		defer h.panics.recovered(h.relay.log, "relay: TokenSource panicked; none of its tokens is good",
			func() { tokens = nil })
		return source()
	}
}

// response is the body of every answer.
type response struct {
	Status  string    `json:"status"`
	Reason  string    `json:"reason,omitempty"`
	Message string    `json:"message,omitempty"`
	Events  []Receipt `json:"events,omitzero"` // an empty list is written
}

// ServeHTTP receives one webhook, accepts its events and answers.
func (h *Handler) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	receipts, refusal := h.accept(w, req)
	if refusal != nil {
		h.relay.telemetry.answered(refusal.Code, refusal.Reason, 1)
		h.refuse(w, req, refusal)
		return
	}
	h.relay.telemetry.answered(http.StatusAccepted, "", 1)
	respond(w, http.StatusAccepted, response{Status: "accepted", Events: receipts})
}

// acceptTimeout bounds the time from the arrival of the body until the store has its events. It is
// less than the write timeout of a usual server, so that the sender gets an answer.
const acceptTimeout = 20 * time.Second

func (h *Handler) accept(w http.ResponseWriter, req *http.Request) ([]Receipt, *webhook.Refusal) {
	body, refusal := h.receiver.Receive(w, req)
	if refusal != nil {
		return nil, refusal
	}
	defer body.Release()
	// A webhook that has arrived whole is kept even if its sender hangs up, because Guance does not
	// promise to send it again. If it does, the webhook is a duplicate.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(req.Context()), acceptTimeout)
	defer cancel()
	if refusal := body.ReserveDecoding(ctx); refusal != nil {
		return nil, refusal
	}
	events, err := guance.Decode(body.Bytes(), req.Header.Get("Content-Type"))
	body.FreeBytes()
	if _, limit := errors.AsType[*guance.LimitError](err); limit {
		return nil, &webhook.Refusal{Code: http.StatusRequestEntityTooLarge, Message: err.Error()}
	}
	if err != nil {
		return nil, &webhook.Refusal{Code: http.StatusBadRequest, Message: err.Error()}
	}
	if refusal := body.ReserveEvents(len(events)); refusal != nil {
		return nil, refusal
	}
	receipts, err := h.relay.accept(ctx, h.sources[body.Source], events)
	if err != nil {
		return nil, unavailable(err)
	}
	h.relay.telemetry.heardFrom(body.Source, true)
	return receipts, nil
}

// unavailable returns the refusal for an error of the store. Only the log has the error itself.
func unavailable(err error) *webhook.Refusal {
	r := &webhook.Refusal{Code: http.StatusServiceUnavailable, Cause: err}
	switch {
	case errors.Is(err, store.ErrFailed): // first: it leaves a doubt, whatever it wraps
		r.Reason, r.RetryAfter = "failed", 60
		r.Message = "the store has failed; whether the events were kept is not certain, send them again"
	case errors.Is(err, store.ErrUnavailable):
		r.Reason, r.RetryAfter = "unavailable", 10
		r.Message = "the store cannot be reached; whether the events were kept is not certain, " +
			"send them again"
	case errors.Is(err, store.ErrFull):
		r.Reason, r.RetryAfter = "full", 30
		r.Message = "the store is full; nothing was kept, send the events again"
	case errors.Is(err, store.ErrClosed):
		r.Reason, r.RetryAfter = "closing", 10
		r.Message = "the relay is stopping; nothing was kept, send the events again"
	case errors.Is(err, context.DeadlineExceeded):
		r.Reason, r.RetryAfter = "busy", 10
		r.Message = "the store did not answer in time; nothing was kept, send the events again"
	default: // after other errors the store has kept nothing
		r.Reason, r.RetryAfter = "unavailable", 30
		r.Message = "the store cannot take events now; nothing was kept, send the events again"
	}
	return r
}

func (h *Handler) refuse(w http.ResponseWriter, req *http.Request, refusal *webhook.Refusal) {
	level, log := slog.LevelWarn, &h.rejected
	if refusal.Cause != nil { // two sources have one token: a mistake of this side
		level, log = slog.LevelError, &h.shared
	}
	if refusal.Code >= http.StatusInternalServerError {
		level, log = slog.LevelError, &h.failed
		w.Header().Set("Retry-After", strconv.Itoa(refusal.RetryAfter))
	}
	log.do(func(n uint64) {
		// The URL is not logged: it may hold the secret.
		attrs := []slog.Attr{
			slog.Int("status", refusal.Code), slog.String("message", refusal.Message),
			slog.String("sender", h.receiver.Sender(req).String()), slog.Uint64("refused", n),
		}
		if refusal.Cause != nil {
			attrs = append(attrs, slog.String("error", refusal.Cause.Error()))
		}
		h.relay.log.LogAttrs(req.Context(), level, "relay: webhook refused", attrs...)
	})
	respond(w, refusal.Code, response{"error", refusal.Reason, refusal.Message, nil})
}

func respond(w http.ResponseWriter, code int, r response) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(code)
	_ = json.NewEncoder(w).Encode(r) // fails if the client is gone; accepted events are kept
}
