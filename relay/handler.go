package relay

import (
	"crypto/sha256"
	"crypto/subtle"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"strings"

	"github.com/guance-relay/guance-relay/guance"
)

// HandlerOptions are the settings of a [Handler].
type HandlerOptions struct {
	// Tokens are the secrets that a webhook may carry, as Authorization: Bearer, in the header Header or as ?token=. Several
	// are good at once, for rotation.
	Tokens []string
	// Header is the name of the custom header; empty means X-Relay-Token. Guance's console can set one header.
	Header string
	// NoAuth takes webhooks from anybody. It must be asked for: without it and without Tokens, NewHandler fails.
	NoAuth bool
	// MaxBytes bounds a body; zero means 1 MiB.
	MaxBytes int64
}

// A Handler is the http.Handler that takes Guance's webhook. It answers 202 only once every event of the body is durable, and
// otherwise a JSON object that says what was wrong: 400, 401, 405, 413, or 503 with Retry-After when the sender should come again.
type Handler struct {
	relay    *Relay
	tokens   [][sha256.Size]byte
	header   string
	noAuth   bool
	maxBytes int64
}

// NewHandler returns the handler of r.
func NewHandler(r *Relay, opts *HandlerOptions) (*Handler, error) {
	if opts == nil {
		opts = &HandlerOptions{}
	}
	h := &Handler{relay: r, header: opts.Header, noAuth: opts.NoAuth, maxBytes: opts.MaxBytes}
	for _, t := range opts.Tokens {
		if t == "" {
			return nil, errors.New("relay: an empty token would let everybody in; remove it")
		}
		h.tokens = append(h.tokens, sha256.Sum256([]byte(t)))
	}
	if len(h.tokens) == 0 && !h.noAuth {
		return nil, errors.New("relay: no token is set: give Tokens, or NoAuth to take webhooks from anybody")
	}
	if h.header == "" {
		h.header = "X-Relay-Token"
	}
	if h.maxBytes <= 0 {
		h.maxBytes = 1 << 20
	}
	return h, nil
}

// answer is the body of every answer.
type answer struct {
	Status  string    `json:"status"`
	Message string    `json:"message,omitempty"`
	Events  []Receipt `json:"events,omitempty"`
}

// ServeHTTP takes one webhook.
func (h *Handler) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	if req.Method != http.MethodPost {
		w.Header().Set("Allow", http.MethodPost)
		refuse(w, http.StatusMethodNotAllowed, "the webhook takes POST")
		return
	}
	if !h.authorized(req) {
		w.Header().Set("WWW-Authenticate", "Bearer")
		refuse(w, http.StatusUnauthorized, "no valid token: send it as Authorization: Bearer, as "+h.header+" or as ?token=")
		return
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, req.Body, h.maxBytes))
	if err != nil {
		if _, ok := errors.AsType[*http.MaxBytesError](err); ok {
			refuse(w, http.StatusRequestEntityTooLarge, "the body is larger than the limit")
			return
		}
		refuse(w, http.StatusBadRequest, "the body could not be read to its end")
		return
	}
	events, err := guance.Decode(body, req.Header.Get("Content-Type"))
	if err != nil {
		refuse(w, http.StatusBadRequest, err.Error())
		return
	}
	receipts, err := h.relay.Accept(req.Context(), events...)
	if err != nil {
		h.relay.log.LogAttrs(req.Context(), slog.LevelError, "relay: webhook refused", slog.Int("events", len(events)), slog.String("error", err.Error()))
		w.Header().Set("Retry-After", "10")
		refuse(w, http.StatusServiceUnavailable, "the events could not be kept; send them again")
		return
	}
	respond(w, http.StatusAccepted, answer{Status: "accepted", Events: receipts})
}

// authorized compares digests, so that neither the content nor the length of a token shows in the time taken, and looks at every
// token for the same reason.
func (h *Handler) authorized(req *http.Request) bool {
	if h.noAuth {
		return true
	}
	offers := []string{req.Header.Get(h.header), req.URL.Query().Get("token")}
	if scheme, token, ok := strings.Cut(req.Header.Get("Authorization"), " "); ok && strings.EqualFold(scheme, "Bearer") {
		offers = append(offers, strings.TrimSpace(token))
	}
	ok := 0
	for _, offer := range offers {
		sum := sha256.Sum256([]byte(offer))
		for i := range h.tokens {
			ok |= subtle.ConstantTimeCompare(sum[:], h.tokens[i][:])
		}
	}
	return ok == 1
}

func refuse(w http.ResponseWriter, code int, message string) {
	respond(w, code, answer{Status: "error", Message: message})
}

func respond(w http.ResponseWriter, code int, a answer) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(code)
	_ = json.NewEncoder(w).Encode(a) // the client is gone if this fails; what was accepted is kept
}
