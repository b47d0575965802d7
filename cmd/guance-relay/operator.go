package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"time"
	"unicode"

	"github.com/guance-relay/guance-relay/relay"
	"github.com/guance-relay/guance-relay/relay/console"
)

// operator serves the operator's address: metrics, the console with its API, reload and backup. It
// has no secrets, and whoever reaches it may drop alerts. So it listens on loopback only; access
// from elsewhere needs a proxy with authentication in front.
type operator struct {
	listener net.Listener
	http     *http.Server
	reload   func(context.Context) (*reloaded, error) // nil: there is no configuration file
	backup   *backup
}

const (
	operatorTimeout     = 30 * time.Second // for a reload
	operatorConnections = 16
)

// newOperator opens the operator's address. Its errors are errors of the configuration.
func newOperator(address string, r *relay.Relay, db any, m *metrics,
	log *slog.Logger) (*operator, error) {
	if err := checkOperator(address); err != nil {
		return nil, err
	}
	o := &operator{backup: &backup{store: db, log: log}}
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
	o.http.ReadTimeout = 5 * time.Second // bodies are forms
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

// routes returns the handler of the operator's address.
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
	route("POST", "/reload", http.HandlerFunc(o.postReload))
	route("POST", "/backup", o.backup)
	mux.Handle("/console/", http.StripPrefix("/console", page))
	mux.HandleFunc("/", func(w http.ResponseWriter, _ *http.Request) {
		writeStatus(w, http.StatusNotFound, "error", "not found; there are /console/, "+
			"/console/api/openapi.json, /metrics, /reload and /backup")
	})
	return mux
}

// printable replaces control characters, which a terminal would obey.
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
