package main

import (
	"context"
	"errors"
	"fmt"
	stdlog "log"
	"log/slog"
	"mime"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"time"
	"unicode"

	"github.com/guance-relay/guance-relay/relay"
)

// operator is the address of whoever keeps the server: what it does, what became of a problem, and what to do with the events that were
// given up. Who reaches it may do all of that, because it knows no secrets: it is on loopback alone, and a proxy with authentication goes in front
// of it for everybody who is elsewhere.
type operator struct {
	relay    *relay.Relay
	log      *slog.Logger
	listener net.Listener
	http     *http.Server
}

const (
	operatorTime        = 30 * time.Second // for one question; replaying everything takes a few milliseconds for each dead letter
	operatorConnections = 16
)

// newOperator opens the operator's address; its errors are about the configuration.
func newOperator(address string, r *relay.Relay, m *metrics, log *slog.Logger) (*operator, error) {
	if err := checkOperator(address); err != nil {
		return nil, err
	}
	o := &operator{relay: r, log: log}
	var err error
	if o.listener, err = net.Listen("tcp", address); err != nil {
		return nil, fmt.Errorf("operator: %w", err)
	}
	o.http = &http.Server{
		Handler:           guarded(o.routes(m.handler(log))),
		ReadHeaderTimeout: 5 * time.Second,
		ReadTimeout:       5 * time.Second, // there are no bodies
		WriteTimeout:      operatorTime + 10*time.Second,
		IdleTimeout:       time.Minute,
		MaxHeaderBytes:    8 << 10,
		ErrorLog:          stdlog.New(errorLog{log}, "", 0),

		DisableGeneralOptionsHandler: true,
	}
	o.listener = limit(o.http, o.listener, operatorConnections, nil, nil)
	return o, nil
}

// checkOperator returns why an address cannot be the operator's.
func checkOperator(address string) error {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return fmt.Errorf("operator: %q is no address such as 127.0.0.1:9090", address)
	}
	if !loopback(host) {
		return fmt.Errorf("operator: %q is not a loopback address, and who reaches it may drop alerts: listen on 127.0.0.1 and put a proxy with authentication in front", address)
	}
	return nil
}

// loopback reports whether a host, without its port, is this machine and nothing else.
func loopback(host string) bool {
	addr, err := netip.ParseAddr(host)
	return err == nil && addr.Unmap().IsLoopback() || host == "localhost"
}

// guarded keeps web pages out, which reach loopback through the browser of whoever looks at them: by a name of their own that resolves to
// loopback (DNS rebinding), or by a form that posts across origins.
func guarded(h http.Handler) http.Handler {
	var origins http.CrossOriginProtection
	origins.SetDenyHandler(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		respond(w, http.StatusForbidden, "error", "this request comes from a page of another origin")
	}))
	h = origins.Handler(h)
	return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		host, _, err := net.SplitHostPort(req.Host)
		if err != nil { // without a port
			host = strings.Trim(req.Host, "[]")
		}
		if !loopback(host) {
			respond(w, http.StatusMisdirectedRequest, "error", "the Host is not loopback; a proxy in front has to send one that is")
			return
		}
		w.Header().Set("Cache-Control", "no-store")
		w.Header().Set("X-Content-Type-Options", "nosniff")
		h.ServeHTTP(w, req)
	})
}

// routes is everything that the operator's address answers: JSON, but for the metrics and a story that is asked for as text.
func (o *operator) routes(metrics http.Handler) http.Handler {
	mux := http.NewServeMux()
	route := func(method, path string, h http.Handler) {
		mux.Handle(method+" "+path, h)
		mux.HandleFunc(path, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Allow", method)
			respond(w, http.StatusMethodNotAllowed, "error", "this is asked with "+method)
		})
	}
	route("GET", "/metrics", metrics)
	route("GET", "/stats", question(o.stats))
	route("GET", "/explain", question(o.explain, "problem"))
	route("GET", "/dead", question(o.list, "lane", "after", "limit", "body"))
	route("POST", "/replay", question(o.replay, "lane", "seq"))
	route("POST", "/drop", question(o.drop, "lane", "seq"))
	mux.HandleFunc("/", func(w http.ResponseWriter, _ *http.Request) {
		respond(w, http.StatusNotFound, "error", "there is /metrics, /stats, /explain, /dead, /replay and /drop")
	})
	return mux
}

// A refusal is an error with the status that it is answered with.
type refusal struct {
	code int
	error
}

func refuse(code int, format string, args ...any) error {
	return refusal{code, fmt.Errorf(format, args...)}
}

// status is what an error is answered with.
func status(err error) int {
	refused, ok := errors.AsType[refusal](err)
	switch {
	case ok:
		return refused.code
	case errors.Is(err, relay.ErrNotFound):
		return http.StatusNotFound
	case errors.Is(err, relay.ErrStale):
		return http.StatusConflict
	case errors.Is(err, relay.ErrDamaged):
		return http.StatusInternalServerError
	}
	return http.StatusServiceUnavailable // the time is up, the relay stops, or the store does not answer
}

// question is the handler of what takes these parameters, each of them once and in the URL alone. Whatever else is there is refused, because
// to overlook a misspelt seq would be to replay everything.
func question(answer func(http.ResponseWriter, *http.Request, url.Values) error, parameters ...string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		ctx, cancel := context.WithTimeout(req.Context(), operatorTime)
		defer cancel()
		q, err := url.ParseQuery(req.URL.RawQuery)
		if err != nil {
			err = refuse(http.StatusBadRequest, "the query of the URL: %w", err)
		} else if req.Body != http.NoBody {
			err = refuse(http.StatusBadRequest, "there is a body; parameters go into the URL")
		}
		for name, values := range q {
			if !slices.Contains(parameters, name) || len(values) > 1 {
				err = refuse(http.StatusBadRequest, "parameter %q: want each of %q once at most", name, parameters)
			}
		}
		if err == nil {
			err = answer(w, req.WithContext(ctx), q)
		}
		if err != nil {
			respond(w, status(err), "error", err.Error())
		}
	})
}

func (o *operator) stats(w http.ResponseWriter, _ *http.Request, _ url.Values) error {
	answer(w, http.StatusOK, o.relay.Stats())
	return nil
}

func (o *operator) explain(w http.ResponseWriter, req *http.Request, q url.Values) error {
	problem := q.Get("problem")
	if problem == "" {
		return refuse(http.StatusBadRequest, "parameter \"problem\": want the key of one, which is the dedup_key at PagerDuty")
	}
	stories, err := o.relay.Explain(req.Context(), problem)
	if err != nil {
		return err
	}
	if len(stories) == 0 {
		return refuse(http.StatusNotFound, "nothing is known of this problem, or no more")
	}
	if !wantsText(req) {
		answer(w, http.StatusOK, stories)
		return nil
	}
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	for _, story := range stories {
		fmt.Fprint(w, strings.Map(printable, story.String())) // nobody is there to be told of an error
	}
	return nil
}

func wantsText(req *http.Request) bool {
	for item := range strings.SplitSeq(strings.Join(req.Header.Values("Accept"), ","), ",") {
		if kind, _, err := mime.ParseMediaType(item); err == nil && kind == "text/plain" {
			return true
		}
	}
	return false
}

// printable replaces what would move a terminal's cursor: the words of a target, which a reason repeats, are shown on one.
func printable(r rune) rune {
	if unicode.IsControl(r) && r != '\n' {
		return unicode.ReplacementChar
	}
	return r
}

// stop gives those who are being answered a moment.
func (o *operator) stop() {
	grace, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	if o.http.Shutdown(grace) != nil {
		_ = o.http.Close() // what it could report was reported by Shutdown
	}
}
