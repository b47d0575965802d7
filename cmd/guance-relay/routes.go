package main

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"sync"
	"time"
)

// routes returns the handler of the webhook's address. All answers are JSON. Errors of warnings are
// part of the answer of /readyz and do not change its status: the server still takes and delivers
// alerts, and would do neither if it were taken out of service.
func routes(webhook http.Handler, check func(context.Context) error,
	warnings ...func() error) http.Handler {
	ready := &readiness{check: check}
	mux := http.NewServeMux()
	mux.Handle("/guance", webhook)
	mux.Handle("/guance/{$}", webhook) // a slash too many in a console must not cost an alert
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) {
		writeStatus(w, http.StatusOK, "ok", "")
	})
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, r *http.Request) {
		if err := ready.now(r.Context()); err != nil {
			writeStatus(w, http.StatusServiceUnavailable, "unavailable", err.Error())
			return
		}
		var warning error
		for _, warn := range warnings {
			warning = errors.Join(warning, warn())
		}
		if warning != nil {
			writeStatus(w, http.StatusOK, "ok", "warning: "+oneLine(warning))
			return
		}
		writeStatus(w, http.StatusOK, "ok", "")
	})
	mux.HandleFunc("/", func(w http.ResponseWriter, _ *http.Request) {
		writeStatus(w, http.StatusNotFound, "error", "not found; the webhook is POST /guance")
	})
	return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		// RFC 9112, section 6.1: after a request with both Transfer-Encoding and Content-Length the
		// connection must be closed, because a proxy may see another end of it. net/http hides the
		// Content-Length, so the connection is closed after every chunked request.
		if len(req.TransferEncoding) > 0 {
			w.Header().Set("Connection", "close")
		}
		mux.ServeHTTP(w, req)
	})
}

// readiness calls check once a second at most: anybody may get /readyz, and the check costs the
// store a commit.
type readiness struct {
	check func(context.Context) error

	mu      sync.Mutex
	checked time.Time // guarded by mu
	err     error     // guarded by mu: the result
}

func (r *readiness) now(ctx context.Context) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if time.Since(r.checked) >= time.Second {
		// Without cancellation, because later requests use the result too.
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
		defer cancel()
		r.err = r.check(ctx)
		r.checked = time.Now()
	}
	return r.err
}

func writeStatus(w http.ResponseWriter, code int, status, message string) {
	writeJSON(w, code, struct {
		Status  string `json:"status"`
		Message string `json:"message,omitempty"`
	}{status, message})
}

func writeJSON(w http.ResponseWriter, code int, v any) {
	body, err := json.Marshal(v)
	if err != nil { // for instance the body of a damaged event
		writeStatus(w, http.StatusInternalServerError, "error", err.Error())
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(code)
	_, _ = w.Write(append(body, '\n')) // the client is gone
}
