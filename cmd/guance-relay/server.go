package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	stdlog "log"
	"log/slog"
	"maps"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"go.opentelemetry.io/otel"

	"github.com/guance-relay/guance-relay/pagerduty"
	"github.com/guance-relay/guance-relay/relay"
	"github.com/guance-relay/guance-relay/relay/boltstore"
	"github.com/guance-relay/guance-relay/relay/pagerdutysink"
)

// serve runs the relay until ctx ends.
func serve(ctx context.Context, c *config, stderr *logWriter, reload <-chan os.Signal) error {
	if err := c.missing(); err != nil {
		return configError{err}
	}
	log, err := c.logger(stderr)
	if err != nil {
		return configError{err}
	}
	// What libraries say on their own account must not wait for stderr either.
	slog.SetDefault(log)
	otel.SetErrorHandler(otel.ErrorHandlerFunc(func(err error) { log.Error("OpenTelemetry", "error", err.Error()) }))
	m, err := c.metrics(stderr)
	if err != nil {
		return configError{err}
	}
	files := &secrets{}
	client, err := c.client(log, m, files)
	if err != nil {
		return configError{err}
	}
	s, err := newServer(c, client, m, files, log, stderr.check)
	if err != nil {
		return configError{err}
	}
	s.introduce(ctx, c, client)
	watching, stop := context.WithCancel(ctx)
	watched := make(chan struct{})
	go func() {
		files.run(watching, log, reload)
		close(watched)
	}()
	defer func() { stop(); <-watched }()
	if s.operator != nil {
		log.Info("listening for the operator", "address", s.operator.listener.Addr().String())
	}
	log.Info("listening", "address", s.listener.Addr().String(), "path", "/guance")
	return s.run(ctx)
}

// introduce logs what somebody must know who reads the log and nothing else.
func (s *server) introduce(ctx context.Context, c *config, client *pagerduty.Client) {
	data, err := filepath.Abs(c.data)
	if err != nil {
		data = c.data
	}
	target, proxy := c.target()
	s.log.Info("starting", "version", version(), "data", data, "pagerduty", target, "account", client.Account(), "proxy", proxy)
	held, err := s.store.Holdings(ctx)
	if err != nil {
		s.log.Error("what waits in the store cannot be told", "error", err.Error())
		return
	}
	for _, lane := range slices.Sorted(maps.Keys(held)) {
		s.log.Info("kept from before", "lane", lane, "pending", held[lane].Pending, "dead", held[lane].Dead)
	}
	if len(held) == 0 {
		s.log.Info("nothing is kept from before")
	}
}

// server is everything that is open.
type server struct {
	store    *boltstore.Store
	relay    *relay.Relay
	operator *operator // nil if it is off
	listener net.Listener
	http     *http.Server
	log      *slog.Logger
}

// newServer opens the store and the listeners; its errors are about the configuration. What files and warn return as errors stands in the
// answer of readyz and leaves the server ready.
func newServer(c *config, client *pagerduty.Client, m *metrics, files *secrets, log *slog.Logger, warn ...func() error) (_ *server, err error) {
	s := &server{log: log}
	defer func() {
		if err != nil && s.operator != nil {
			err = errors.Join(err, s.operator.listener.Close())
		}
		if err != nil && s.store != nil {
			err = errors.Join(err, s.store.Close())
		}
	}()
	if s.store, err = boltstore.Open(c.data, &boltstore.Options{Logger: log}); err != nil {
		return nil, err
	}
	if s.relay, err = relay.New(s.store, &relay.Options{Logger: log, MeterProvider: m.meters()}); err != nil {
		return nil, err
	}
	s.relay.Handle("pagerduty", pagerdutysink.New(client, nil), &relay.SinkOptions{PerMinute: c.perMinute})
	webhook, err := c.webhook(s.relay, files)
	if err != nil {
		return nil, err
	}
	if c.operator != "" {
		if s.operator, err = newOperator(c.operator, s.relay, m, log); err != nil {
			return nil, err
		}
	}
	if s.listener, err = net.Listen("tcp", c.listen); err != nil {
		return nil, fmt.Errorf("listen: %w", err)
	}
	s.http = &http.Server{
		Handler:           routes(webhook, s.relay.Check, append(warn, files.check)...),
		ReadHeaderTimeout: 5 * time.Second,
		ReadTimeout:       15 * time.Second,
		WriteTimeout:      40 * time.Second, // 15 s for the body and 20 s for the store are within it
		IdleTimeout:       time.Minute,
		MaxHeaderBytes:    8 << 10, // some 20 times that in memory, if all of them are small
		ErrorLog:          stdlog.New(errorLog{log}, "", 0),

		DisableGeneralOptionsHandler: true, // OPTIONS * is a path of nothing, as any other
	}
	// NewHandler has looked at both lists.
	allow, _ := networks(c.access.allow)
	proxies, _ := networks(c.access.proxies)
	s.listener = limit(s.http, s.listener, affordable(c.maxConnections, openFiles(), log), allow, proxies)
	return s, nil
}

// filesReserve is how many files the server needs beside its connections: the store, two listeners, the operator's connections, those to
// PagerDuty, the log, files of secrets, name resolution.
const filesReserve = 100

// affordable returns how many connections the files that the process may open leave room for. Beyond it accept fails, and so does
// everything else that needs a file. Zero files means that the limit is not known.
func affordable(connections int, files uint64, log *slog.Logger) int {
	if files == 0 || files >= uint64(connections)+filesReserve {
		return connections
	}
	fewer := 2
	if files > filesReserve+2 {
		fewer = int(files - filesReserve)
	}
	log.Warn("max-connections is lowered to what the limit of open files allows; raise the limit (ulimit -n, LimitNOFILE)",
		"max-connections", connections, "lowered", fewer, "files", files)
	return fewer
}

// errorLog is where net/http complains. What it says of a request anybody can make it say, as often as they like, and so that is for
// debugging; that a handler panics, or that no more connections can be opened, is for whoever keeps the server.
type errorLog struct{ log *slog.Logger }

func (l errorLog) Write(line []byte) (int, error) {
	level, text := slog.LevelDebug, strings.TrimSpace(string(line))
	if strings.HasPrefix(text, "http: panic ") || strings.HasPrefix(text, "http: Accept error") {
		level = slog.LevelError
	}
	l.log.Log(context.Background(), level, text)
	return len(line), nil
}

// run serves until ctx ends: first no new webhooks, then no new attempts, then nothing for the operator, who can see it stop, and the
// store is closed; ten seconds at most.
func (s *server) run(ctx context.Context) error {
	relayCtx, stopRelay := context.WithCancel(context.WithoutCancel(ctx))
	defer stopRelay()
	ctx, stop := context.WithCancel(ctx)
	relayed := make(chan error, 1)
	go func() {
		relayed <- s.relay.Run(relayCtx)
		stop() // a relay that lost its store must not go on taking webhooks
	}()
	operated := make(chan error, 1)
	if s.operator != nil {
		go func() {
			operated <- s.operator.http.Serve(s.operator.listener)
			stop()
		}()
	}
	served := make(chan error, 1)
	go func() {
		served <- s.http.Serve(s.listener)
		stop()
	}()
	<-ctx.Done()
	s.log.Info("stopping")
	grace, cancel := context.WithTimeout(context.WithoutCancel(ctx), 3*time.Second)
	defer cancel()
	if err := s.http.Shutdown(grace); err != nil {
		s.log.Warn("connections were cut; what was answered with 202 is kept", "error", err.Error())
		_ = s.http.Close() // what it could report was reported by Shutdown
	}
	stopRelay()
	err := <-relayed
	if serveErr := <-served; !errors.Is(serveErr, http.ErrServerClosed) {
		err = errors.Join(err, serveErr)
	}
	if s.operator != nil {
		s.operator.stop()
		if operatorErr := <-operated; !errors.Is(operatorErr, http.ErrServerClosed) {
			err = errors.Join(err, fmt.Errorf("operator: %w", operatorErr))
		}
	}
	return errors.Join(err, s.store.Close())
}

// webhook returns the handler that Guance calls.
func (c *config) webhook(r *relay.Relay, files *secrets) (http.Handler, error) {
	if c.maxBody < 1 {
		return nil, fmt.Errorf("max-body %d: want at least 1", c.maxBody)
	}
	if c.maxConnections < 2 {
		return nil, fmt.Errorf("max-connections %d: want at least 2", c.maxConnections)
	}
	opts, err := c.access.options(files)
	if err != nil {
		return nil, err
	}
	opts.MaxBytes = int64(c.maxBody)
	h, err := relay.NewHandler(r, opts)
	if err != nil {
		return nil, fmt.Errorf("%w (RELAY_TOKENS, RELAY_TOKENS_FILE, RELAY_BASIC, RELAY_ALLOW, RELAY_TRUSTED_PROXIES, RELAY_NO_AUTH, RELAY_HEADER, RELAY_MAX_BODY)", err)
	}
	return h, nil
}

// routes is everything that the server answers, all of it in JSON. Warnings stand in the answer of readyz and do not change its status: the
// server takes and delivers alerts, and would do neither if it were taken out of service.
func routes(webhook http.Handler, check func(context.Context) error, warnings ...func() error) http.Handler {
	ready := &readiness{check: check}
	mux := http.NewServeMux()
	mux.Handle("/guance", webhook)
	mux.Handle("/guance/{$}", webhook) // a slash too many in a console shall not cost an alert
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { respond(w, http.StatusOK, "ok", "") })
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, r *http.Request) {
		if err := ready.now(r.Context()); err != nil {
			respond(w, http.StatusServiceUnavailable, "unavailable", err.Error())
			return
		}
		var warning error
		for _, warn := range warnings {
			warning = errors.Join(warning, warn())
		}
		if warning != nil {
			respond(w, http.StatusOK, "ok", "warning: "+oneLine(warning))
			return
		}
		respond(w, http.StatusOK, "ok", "")
	})
	mux.HandleFunc("/", func(w http.ResponseWriter, _ *http.Request) {
		respond(w, http.StatusNotFound, "error", "there is nothing here; the webhook is POST /guance")
	})
	return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		// After a request with a Transfer-Encoding and a Content-Length the connection must be closed, because a proxy may have seen
		// another end of it than we do (RFC 9112, section 6.1). net/http drops the Content-Length, so it is closed after all chunks.
		if len(req.TransferEncoding) > 0 {
			w.Header().Set("Connection", "close")
		}
		mux.ServeHTTP(w, req)
	})
}

// readiness asks the store once a second at most: anybody may ask for it, and the store answers with a commit.
type readiness struct {
	check func(context.Context) error

	mu    sync.Mutex
	asked time.Time // guarded by mu
	err   error     // guarded by mu: what the answer was
}

func (r *readiness) now(ctx context.Context) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if time.Since(r.asked) >= time.Second {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second) // the answer is for others too
		defer cancel()
		r.err = r.check(ctx)
		r.asked = time.Now()
	}
	return r.err
}

func respond(w http.ResponseWriter, code int, status, message string) {
	answer(w, code, struct {
		Status  string `json:"status"`
		Message string `json:"message,omitempty"`
	}{status, message})
}

func answer(w http.ResponseWriter, code int, v any) {
	body, err := json.Marshal(v)
	if err != nil { // an event whose body is not what it was, for instance
		respond(w, http.StatusInternalServerError, "error", err.Error())
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(code)
	_, _ = w.Write(append(body, '\n')) // nobody is there to be told
}
