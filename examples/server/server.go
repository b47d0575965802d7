package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"time"

	"github.com/guance-relay/guance-relay/pagerduty"
	"github.com/guance-relay/guance-relay/relay"
	"github.com/guance-relay/guance-relay/relay/boltstore"
	"github.com/guance-relay/guance-relay/relay/pagerdutysink"
)

// serve runs the relay until ctx ends.
func serve(ctx context.Context, c *config, stderr io.Writer) error {
	log, err := c.logger(stderr)
	if err != nil {
		return configError{err}
	}
	client, err := c.client(log)
	if err != nil {
		return configError{err}
	}
	s, err := newServer(c, client, log)
	if err != nil {
		return configError{err}
	}
	log.Info("listening", "address", s.listener.Addr().String(), "path", "/guance")
	return s.run(ctx)
}

// server is everything that is open.
type server struct {
	store    *boltstore.Store
	relay    *relay.Relay
	listener net.Listener
	http     *http.Server
	log      *slog.Logger
}

// newServer opens the store and the listener; its errors are about the configuration.
func newServer(c *config, client *pagerduty.Client, log *slog.Logger) (_ *server, err error) {
	s := &server{log: log}
	defer func() {
		if err != nil && s.store != nil {
			err = errors.Join(err, s.store.Close())
		}
	}()
	if s.store, err = boltstore.Open(c.data, nil); err != nil {
		return nil, err
	}
	if s.relay, err = relay.New(s.store, &relay.Options{Logger: log}); err != nil {
		return nil, err
	}
	s.relay.Handle("pagerduty", pagerdutysink.New(client, nil), &relay.SinkOptions{PerMinute: c.perMinute})
	webhook, err := relay.NewHandler(s.relay, &relay.HandlerOptions{Tokens: c.secrets(), NoAuth: c.noAuth})
	if err != nil {
		return nil, fmt.Errorf("%w (RELAY_TOKENS or RELAY_NO_AUTH)", err)
	}
	mux := http.NewServeMux()
	mux.Handle("/guance", webhook)
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { report(w, nil) })
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, r *http.Request) { report(w, s.relay.Check(r.Context())) })
	if s.listener, err = net.Listen("tcp", c.listen); err != nil {
		return nil, err
	}
	s.http = &http.Server{
		Handler:           mux,
		ReadHeaderTimeout: 5 * time.Second,
		ReadTimeout:       15 * time.Second,
		WriteTimeout:      30 * time.Second,
		IdleTimeout:       time.Minute,
		MaxHeaderBytes:    32 << 10,
		ErrorLog:          slog.NewLogLogger(log.Handler(), slog.LevelDebug),
	}
	return s, nil
}

// run serves until ctx ends: first no new webhooks, then no new attempts, then the store is closed; ten seconds at most.
func (s *server) run(ctx context.Context) error {
	relayCtx, stopRelay := context.WithCancel(context.WithoutCancel(ctx))
	defer stopRelay()
	ctx, stop := context.WithCancel(ctx)
	relayed := make(chan error, 1)
	go func() {
		relayed <- s.relay.Run(relayCtx)
		stop() // a relay that lost its store must not go on taking webhooks
	}()
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
	return errors.Join(err, s.store.Close())
}

// report answers a health question.
func report(w http.ResponseWriter, err error) {
	status, answer := http.StatusOK, map[string]string{"status": "ok"}
	if err != nil {
		status, answer = http.StatusServiceUnavailable, map[string]string{"status": "unavailable", "message": err.Error()}
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(answer) // nobody is there to be told
}
