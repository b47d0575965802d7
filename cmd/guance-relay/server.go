package main

import (
	"context"
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
	"sync"
	"time"

	"github.com/guance-relay/guance-relay/cmd/guance-relay/internal/relayfile"
	"github.com/guance-relay/guance-relay/relay"
)

// serve runs the server until ctx ends.
func serve(ctx context.Context, c *config, stderr *logWriter, reload <-chan os.Signal) error {
	if err := c.missing(); err != nil {
		return configError{err}
	}
	log, err := c.logger(stderr)
	if err != nil {
		return configError{err}
	}
	// What libraries log on their own must not wait for stderr either.
	slog.SetDefault(log)
	t, err := c.telemetry(ctx, stderr, log)
	if err != nil {
		return configError{err}
	}
	defer t.close(log)
	s, err := openServer(ctx, c, t, stderr, log)
	if err != nil {
		return configError{err}
	}
	checking, stop := context.WithCancel(ctx)
	var checks sync.WaitGroup
	checks.Go(func() { s.files.run(checking, s.log, reload) })
	defer checks.Wait()
	defer stop()
	return s.run(ctx)
}

// openServer opens everything that the configuration names, and logs the first lines. Its errors
// are errors of the configuration.
func openServer(ctx context.Context, c *config, t *telemetry, stderr *logWriter,
	log *slog.Logger) (*server, error) {
	if c.file != "" {
		return openFromFile(ctx, c, t, stderr, log)
	}
	files := &secretFiles{}
	client, err := c.client(log, t.metrics, files)
	if err != nil {
		return nil, err
	}
	p := c.plan(client, files)
	s, err := newServer(c, p, t, log, stderr.check)
	if err != nil {
		return nil, err
	}
	s.introduce(ctx, c, p)
	return s, nil
}

// openFromFile is openServer for a configuration file.
func openFromFile(ctx context.Context, c *config, t *telemetry, stderr *logWriter,
	log *slog.Logger) (*server, error) {
	loader := &relayfile.Loader{Getenv: c.getenv, Logger: log, Meters: t.provider}
	f, err := loader.Load(c.file)
	if err != nil {
		return nil, err
	}
	maxBody := c.maxBody
	if err := c.fromFile(f.File); err != nil {
		return nil, err
	}
	f.Access.MaxBytes = int64(c.maxBody)
	own := newSelfWatch(c, f, log)
	p, err := filePlan(f, own.sources...)
	if err != nil {
		return nil, err
	}
	own.addTo(p)
	r := &reloader{path: c.file, loader: loader, log: log, m: t.metrics, current: f, watch: own,
		started: f.File, maxBody: maxBody, fixedBody: c.set("max-body")}
	route := p.route
	r.route.Store(&route)
	p.route = r.routes
	s, err := newServer(c, p, t, log, stderr.check, r.err)
	if err != nil {
		return nil, err
	}
	r.relay, r.gate, r.files, r.conns, r.store = s.relay, s.gate, s.files, s.connections, s.store
	r.pair, s.watch = s.pair, own
	s.files.reload = r.signalled
	if s.operator != nil {
		s.operator.reload = r.reload
	}
	s.introduce(ctx, c, p)
	for _, t := range f.Targets {
		log.Info("lane", "lane", t.Name, "type", t.Type, "target", t.Address, "account", t.Account)
	}
	return s, nil
}

// server is everything that is open.
type server struct {
	store    durableStore
	relay    *relay.Relay
	operator *operator        // nil if it is off
	metrics  *metricsListener // nil if it is off
	gate     *gate
	files    *secretFiles
	listener net.Listener
	// connections is the listener too.
	connections *connections
	http        *http.Server
	log         *slog.Logger
	pair        *certificate // nil: plain HTTP
	watch       *selfWatch   // nil: there is no configuration file
}

// newServer opens the store and the listeners. Errors of files and warnings are part of the answer
// of /readyz; see routes.
func newServer(c *config, p *plan, t *telemetry, log *slog.Logger,
	warnings ...func() error) (_ *server, err error) {
	s := &server{log: log, files: p.files}
	defer func() {
		if err != nil && s.operator != nil {
			err = errors.Join(err, s.operator.listener.Close())
		}
		if err != nil && s.metrics != nil {
			err = errors.Join(err, s.metrics.listener.Close())
		}
		if err != nil && s.store != nil {
			err = errors.Join(err, s.store.Close())
		}
	}()
	if c.maxConnections < 2 {
		return nil, fmt.Errorf("max-connections %d: must be at least 2", c.maxConnections)
	}
	if s.store, err = c.openStore(context.Background(), p.store, t.provider, log); err != nil {
		return nil, err
	}
	if p.names != nil {
		if err := p.names(context.Background(), s.store); err != nil {
			return nil, err
		}
	}
	opts := &relay.Options{
		Logger: log, MeterProvider: t.provider, Node: c.node, Route: p.route, Received: p.received,
	}
	if s.relay, err = relay.New(s.store, opts); err != nil {
		return nil, err
	}
	for _, l := range p.lanes {
		s.relay.Handle(l.name, l.sink, l.opts)
	}
	webhook, err := p.webhook(s.relay)
	if err != nil {
		return nil, err
	}
	s.gate = &gate{h: webhook}
	t.files.Store(p.files)
	if c.operator != "" {
		if s.operator, err = newOperator(c.operator, s.relay, s.store, t.metrics, log); err != nil {
			return nil, err
		}
	}
	if c.metrics != "" {
		if s.metrics, err = openMetrics(c.metrics, t.metrics, log); err != nil {
			return nil, err
		}
	}
	if s.pair, err = c.certificate(p.files); err != nil {
		return nil, err
	}
	if s.listener, err = net.Listen("tcp", c.listen); err != nil {
		return nil, fmt.Errorf("listen: %w", err)
	}
	s.http = httpServer(routes(t.traced(s.gate), s.relay.Check, append(warnings, p.files.err)...), log)
	s.http.ReadTimeout = 15 * time.Second
	s.http.WriteTimeout = 40 * time.Second // more than 15 s for the body and 20 s for the store
	if s.pair != nil {
		s.http.TLSConfig, s.http.Protocols = s.pair.config(), onlyHTTP1()
	}
	limit := affordable(c.maxConnections, openFiles(), log)
	s.connections = limitConnections(s.http, s.listener, limit, p.allow, p.proxies)
	s.listener = s.connections
	return s, nil
}

// httpServer returns a server with what both addresses have in common.
func httpServer(h http.Handler, log *slog.Logger) *http.Server {
	return &http.Server{
		Handler:           h,
		ReadHeaderTimeout: 5 * time.Second,
		IdleTimeout:       time.Minute,
		MaxHeaderBytes:    8 << 10, // many small headers take 20 times that in memory
		ErrorLog:          stdlog.New(errorLog{log}, "", 0),

		DisableGeneralOptionsHandler: true, // OPTIONS * is answered like any unknown path
	}
}

// introduce logs what runs, with which data, and where it sends to.
func (s *server) introduce(ctx context.Context, c *config, p *plan) {
	data, err := filepath.Abs(c.data)
	if err != nil {
		data = c.data
	}
	if c.usesPostgres() {
		data = "PostgreSQL" // the URL may have a password
	}
	if c.file != "" {
		s.log.Info("starting", "version", version(), "data", data, "config", c.file)
	} else {
		s.log.Info("starting", "version", version(), "data", data, "pagerduty", p.target,
			"account", p.account, "proxy", p.proxy)
	}
	held, err := s.store.Holdings(ctx)
	switch {
	case err != nil:
		s.log.Error("cannot count what is in the store", "error", err.Error())
	case len(held) == 0:
		s.log.Info("the store is empty")
	}
	for _, lane := range slices.Sorted(maps.Keys(held)) {
		s.log.Info("found in the store", "lane", lane,
			"pending", held[lane].Pending, "dead", held[lane].Dead)
	}
	if s.operator != nil {
		s.log.Info("listening for the operator", "address", s.operator.listener.Addr().String())
	}
	if s.metrics != nil {
		s.log.Info("listening for the metrics", "address", s.metrics.listener.Addr().String())
	}
	s.log.Info("listening", "address", s.listener.Addr().String(), "path", "/guance",
		"tls", s.pair != nil)
}

// notify tells systemd a state. After an error the server goes on, and systemd ends it.
func (s *server) notify(state string) {
	if err := notify(state); err != nil {
		s.log.Error("systemd does not know the state of the server", "error", err.Error())
	}
}

// run serves until ctx ends, and then stops within ten seconds: first it takes no new webhooks,
// then it begins no new attempts, then it closes the operator's address, which shows the stop, and
// at last the store.
func (s *server) run(ctx context.Context) error {
	relayCtx, stopRelay := context.WithCancel(context.WithoutCancel(ctx))
	defer stopRelay()
	ctx, stop := context.WithCancel(ctx)
	relayed := make(chan error, 1)
	go func() {
		relayed <- s.relay.Run(relayCtx)
		stop() // without its store the relay must take no more webhooks
	}()
	operated := make(chan error, 1)
	if s.operator != nil {
		go func() {
			operated <- s.operator.http.Serve(s.operator.listener)
			stop()
		}()
	}
	measured := make(chan error, 1)
	if s.metrics != nil {
		go func() {
			measured <- s.metrics.http.Serve(s.metrics.listener)
			stop()
		}()
	}
	served := make(chan error, 1)
	go func() {
		if s.pair != nil {
			served <- s.http.ServeTLS(s.listener, "", "")
		} else {
			served <- s.http.Serve(s.listener)
		}
		stop()
	}()
	if s.watch != nil {
		defer s.watch.start(ctx, s)() // ctx has ended by then
	}
	s.notify("READY=1")
	<-ctx.Done()
	s.log.Info("stopping")
	s.notify("STOPPING=1")
	grace, cancel := context.WithTimeout(context.WithoutCancel(ctx), 3*time.Second)
	defer cancel()
	if err := s.http.Shutdown(grace); err != nil {
		s.log.Warn("connections were cut; everything answered with 202 is kept",
			"error", err.Error())
		_ = s.http.Close() // Shutdown has reported the error
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
	if s.metrics != nil {
		s.metrics.stop()
		if metricsErr := <-measured; !errors.Is(metricsErr, http.ErrServerClosed) {
			err = errors.Join(err, fmt.Errorf("metrics: %w", metricsErr))
		}
	}
	return errors.Join(err, s.store.Close())
}
