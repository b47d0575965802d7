// Embed is the relay inside an existing service: a handler on the service's own mux, and Run beside its server.
//
//	PAGERDUTY_ROUTING_KEY=… RELAY_TOKEN=… go run ./examples/embed
package main

import (
	"cmp"
	"context"
	"errors"
	"log"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/guance-relay/guance-relay/pagerduty"
	"github.com/guance-relay/guance-relay/relay"
	"github.com/guance-relay/guance-relay/relay/boltstore"
	"github.com/guance-relay/guance-relay/relay/pagerdutysink"
)

func main() {
	// Go ends a process that writes to a broken pipe on stdout or stderr, and that is what the log writes to: without this line
	// the end of the log's reader, such as a restart of journald, ends the service. A full pipe is another matter: log and slog wait for its
	// reader, and the relay's lanes wait with them. If somebody may stop reading, give slog.SetDefault a handler whose
	// writer has a bounded buffer and never waits.
	signal.Ignore(syscall.SIGPIPE)
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx); err != nil {
		log.Fatal(err)
	}
}

// run takes webhooks and delivers until ctx ends, or until it cannot go on. It closes what it opened.
func run(ctx context.Context) (err error) {
	key, err := pagerduty.RoutingKeyFromEnv("PAGERDUTY_ROUTING_KEY")
	if err != nil {
		return err
	}
	client, err := pagerduty.NewClient(key, nil)
	if err != nil {
		return err
	}
	store, err := boltstore.Open("relay-data", nil)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, store.Close()) }()
	r, err := relay.New(store, nil)
	if err != nil {
		return err
	}
	r.Handle("pagerduty", pagerdutysink.New(client, nil), nil)
	webhook, err := relay.NewHandler(r, &relay.HandlerOptions{Tokens: []string{os.Getenv("RELAY_TOKEN")}})
	if err != nil {
		return err
	}

	mux := http.NewServeMux() // the service's own
	mux.Handle("/guance", webhook)
	server := &http.Server{Addr: cmp.Or(os.Getenv("RELAY_LISTEN"), "127.0.0.1:8080"), Handler: mux, ReadHeaderTimeout: 5 * time.Second}

	ctx, stop := context.WithCancel(ctx)
	defer stop()
	delivering, stopDelivering := context.WithCancel(context.WithoutCancel(ctx))
	defer stopDelivering()
	delivered, served := make(chan error, 1), make(chan error, 1)
	go func() {
		delivered <- r.Run(delivering)
		stop() // the store failed: no more webhooks
	}()
	go func() {
		served <- server.ListenAndServe()
		stop() // the address is taken, for instance
	}()
	<-ctx.Done()

	// First no new webhooks, then no new attempts. What is not delivered now is delivered after the next start.
	grace, cancel := context.WithTimeout(context.WithoutCancel(ctx), 3*time.Second)
	defer cancel()
	err = server.Shutdown(grace)
	stopDelivering()
	err = errors.Join(err, <-delivered)
	if serveErr := <-served; !errors.Is(serveErr, http.ErrServerClosed) {
		err = errors.Join(err, serveErr)
	}
	return err
}
