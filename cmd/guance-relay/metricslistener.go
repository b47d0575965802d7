package main

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"time"
)

// A metricsListener serves the metrics on an address of their own. It can do nothing else, so that
// address need not be loopback.
type metricsListener struct {
	listener net.Listener
	http     *http.Server
}

// openMetrics opens the address. Its errors are errors of the configuration.
func openMetrics(address string, m *metrics, log *slog.Logger) (*metricsListener, error) {
	listener, err := net.Listen("tcp", address)
	if err != nil {
		return nil, fmt.Errorf("metrics: %w", err)
	}
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", m.handler(log))
	mux.HandleFunc("/", func(w http.ResponseWriter, _ *http.Request) {
		writeStatus(w, http.StatusNotFound, "error", "not found; there is GET /metrics")
	})
	l := &metricsListener{listener, httpServer(mux, log)}
	l.http.ReadTimeout, l.http.WriteTimeout = 5*time.Second, 30*time.Second
	l.listener = limitConnections(l.http, listener, operatorConnections, nil, nil)
	return l, nil
}

// stop closes the address after a second at most.
func (l *metricsListener) stop() {
	grace, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	if l.http.Shutdown(grace) != nil {
		_ = l.http.Close() // Shutdown has reported the error
	}
}
