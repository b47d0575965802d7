package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"time"
	"unicode"

	"github.com/guance-relay/guance-relay/relay"
	"github.com/guance-relay/guance-relay/relay/console"
	"github.com/guance-relay/guance-relay/relay/store"
)

// operator serves the operator's address: metrics, statistics, the history of a problem, and dead
// letters. It has no secrets, and whoever reaches it may drop alerts. So it listens on loopback
// only; access from elsewhere needs a proxy with authentication in front.
type operator struct {
	relay    *relay.Relay
	log      *slog.Logger
	listener net.Listener
	http     *http.Server
	reload   func(context.Context) (*reloaded, error) // nil: there is no configuration file
	backup   *backup
}

const (
	operatorTimeout     = 30 * time.Second // for one call; a replay takes milliseconds per dead letter
	operatorConnections = 16
)

// newOperator opens the operator's address. Its errors are errors of the configuration.
func newOperator(address string, r *relay.Relay, db any, m *metrics,
	log *slog.Logger) (*operator, error) {
	if err := checkOperator(address); err != nil {
		return nil, err
	}
	o := &operator{relay: r, log: log, backup: &backup{store: db, log: log}}
	var err error
	if o.listener, err = net.Listen("tcp", address); err != nil {
		return nil, fmt.Errorf("operator: %w", err)
	}
	page, err := console.New(r, &console.Options{
		// The address is loopback, and whoever reaches it may replay and drop.
		Authorize:  func(*http.Request) console.Permission { return console.Act },
		UserHeader: "X-Forwarded-User", Logger: log,
	})
	if err != nil {
		return nil, errors.Join(err, o.listener.Close())
	}
	o.http = httpServer(localOnly(o.routes(m.handler(log), page)), log)
	o.http.ReadTimeout = 5 * time.Second // there are no bodies
	o.http.WriteTimeout = operatorTimeout + 10*time.Second
	o.listener = limitConnections(o.http, o.listener, operatorConnections, nil, nil)
	return o, nil
}

// checkOperator returns why an address cannot be the operator's.
func checkOperator(address string) error {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return fmt.Errorf("operator: %q must be an address such as 127.0.0.1:9090", address)
	}
	if !loopback(host) {
		return fmt.Errorf("operator: %q is not a loopback address, and whoever reaches it may drop "+
			"alerts: listen on 127.0.0.1 and put a proxy with authentication in front", address)
	}
	return nil
}

// loopback reports whether a host, without its port, can only be this machine.
func loopback(host string) bool {
	addr, err := netip.ParseAddr(host)
	return err == nil && addr.Unmap().IsLoopback() || host == "localhost"
}

// localOnly refuses requests of web pages, which reach loopback through the operator's browser:
// from a host name that resolves to loopback (DNS rebinding), or by a cross-origin form.
func localOnly(h http.Handler) http.Handler {
	var origins http.CrossOriginProtection
	origins.SetDenyHandler(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		writeStatus(w, http.StatusForbidden, "error", "the request is from a page of another origin")
	}))
	h = origins.Handler(h)
	return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		host, _, err := net.SplitHostPort(req.Host)
		if err != nil { // without a port
			host = strings.Trim(req.Host, "[]")
		}
		if !loopback(host) {
			writeStatus(w, http.StatusMisdirectedRequest, "error",
				"the Host header is not loopback; a proxy in front must send one that is")
			return
		}
		w.Header().Set("Cache-Control", "no-store")
		w.Header().Set("X-Content-Type-Options", "nosniff")
		h.ServeHTTP(w, req)
	})
}

// routes returns the handler of the operator's address. Answers are JSON, except for the metrics
// and for a history that is requested as text.
func (o *operator) routes(metrics, page http.Handler) http.Handler {
	mux := http.NewServeMux()
	route := func(method, path string, h http.Handler) {
		mux.Handle(method+" "+path, h)
		mux.HandleFunc(path, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Allow", method)
			writeStatus(w, http.StatusMethodNotAllowed, "error", "use "+method)
		})
	}
	route("GET", "/metrics", metrics)
	route("GET", "/stats", call(o.stats))
	route("GET", "/explain", call(o.explain, "problem"))
	route("GET", "/dead", call(o.list, "lane", "after", "limit", "body"))
	route("POST", "/replay", call(o.replay, "lane", "seq"))
	route("POST", "/drop", call(o.drop, "lane", "seq"))
	route("POST", "/reload", call(o.postReload))
	route("POST", "/backup", o.backup)
	mux.Handle("/console/", http.StripPrefix("/console", page))
	mux.HandleFunc("/", func(w http.ResponseWriter, _ *http.Request) {
		writeStatus(w, http.StatusNotFound, "error", "not found; there are /console/, /metrics, /stats, "+
			"/explain, /dead, /replay, /drop, /reload and /backup")
	})
	return mux
}

// A statusError is an error with its HTTP status.
type statusError struct {
	code int
	error
}

func errorf(code int, format string, args ...any) error {
	return statusError{code, fmt.Errorf(format, args...)}
}

// statusOf returns the HTTP status of an error.
func statusOf(err error) int {
	coded, ok := errors.AsType[statusError](err)
	switch {
	case ok:
		return coded.code
	case errors.Is(err, store.ErrNotFound):
		return http.StatusNotFound
	case errors.Is(err, relay.ErrStale):
		return http.StatusConflict
	case errors.Is(err, store.ErrDamaged):
		return http.StatusInternalServerError
	}
	return http.StatusServiceUnavailable // a timeout, a stop, or a store that does not answer
}

// call returns the handler of a function that takes these parameters, each once, from the URL. A
// body and any other parameter are refused: to ignore a misspelt seq would be to replay everything.
func call(f func(http.ResponseWriter, *http.Request, url.Values) error,
	parameters ...string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		ctx, cancel := context.WithTimeout(req.Context(), operatorTimeout)
		defer cancel()
		q, err := url.ParseQuery(req.URL.RawQuery)
		if err != nil {
			err = errorf(http.StatusBadRequest, "the query of the URL: %w", err)
		} else if req.Body != http.NoBody {
			err = errorf(http.StatusBadRequest, "there is a body; put parameters into the URL")
		}
		for name, values := range q {
			if !slices.Contains(parameters, name) || len(values) > 1 {
				err = errorf(http.StatusBadRequest,
					"parameter %q: only %q are known, each once at most", name, parameters)
			}
		}
		if err == nil {
			err = f(w, req.WithContext(ctx), q)
		}
		if err != nil {
			writeStatus(w, statusOf(err), "error", err.Error())
		}
	})
}

func (o *operator) stats(w http.ResponseWriter, _ *http.Request, _ url.Values) error {
	writeJSON(w, http.StatusOK, o.relay.Stats())
	return nil
}

func (o *operator) explain(w http.ResponseWriter, req *http.Request, q url.Values) error {
	problem := q.Get("problem")
	if problem == "" {
		return errorf(http.StatusBadRequest,
			"parameter \"problem\": must be a problem key, which is the dedup_key at PagerDuty")
	}
	hihistories, err := o.relay.Explain(req.Context(), problem)
	if err != nil {
		return err
	}
	if len(hihistories) == 0 {
		return errorf(http.StatusNotFound, "there is no record of this problem, or no longer")
	}
	if !strings.Contains(strings.Join(req.Header.Values("Accept"), ","), "text/plain") {
		writeJSON(w, http.StatusOK, hihistories)
		return nil
	}
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	for _, history := range hihistories {
		fmt.Fprint(w, strings.Map(printable, history.String())) // on an error the client is gone
	}
	return nil
}

// printable replaces control characters: a history quotes answers of the target, and a terminal
// would obey them.
func printable(r rune) rune {
	if unicode.IsControl(r) && r != '\n' {
		return unicode.ReplacementChar
	}
	return r
}

// stop closes the address after a second at most.
func (o *operator) stop() {
	grace, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	if o.http.Shutdown(grace) != nil {
		_ = o.http.Close() // Shutdown has reported the error
	}
}
