// Embed is a service with the relay inside: the handler on the service's mux, and Run beside its
// server.
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

	"golang.org/x/sync/errgroup"

	"github.com/guance-relay/guance-relay/pagerduty"
	"github.com/guance-relay/guance-relay/relay"
	"github.com/guance-relay/guance-relay/relay/boltstore"
	"github.com/guance-relay/guance-relay/relay/pagerdutysink"
)

func main() {
	// Go ends a process that writes to a broken pipe on stdout or stderr (package os/signal). Without
	// this line, a restart of journald ends the service. A full pipe is another matter: log and slog
	// wait for its reader, and the relay waits with them. If the reader may stop, give
	// slog.SetDefault a handler that writes through a bounded buffer.
	signal.Ignore(syscall.SIGPIPE)
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx); err != nil {
		log.Fatal(err)
	}
}

// run takes webhooks and delivers events until ctx ends or something fails.
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
	tokens := []string{os.Getenv("RELAY_TOKEN")}
	webhook, err := relay.NewHandler(r, &relay.HandlerOptions{Tokens: tokens})
	if err != nil {
		return err
	}

	mux := http.NewServeMux() // the mux of the service
	mux.Handle("/guance", webhook)
	address := cmp.Or(os.Getenv("RELAY_LISTEN"), "127.0.0.1:8080")
	server := &http.Server{Addr: address, Handler: mux, ReadHeaderTimeout: 5 * time.Second}
	group, ctx := errgroup.WithContext(ctx) // the first error ends ctx
	delivering, stopDelivering := context.WithCancel(context.WithoutCancel(ctx))
	group.Go(func() error { return r.Run(delivering) })
	group.Go(func() error {
		if err := server.ListenAndServe(); !errors.Is(err, http.ErrServerClosed) {
			return err
		}
		return nil
	})
	group.Go(func() error {
		<-ctx.Done()
		defer stopDelivering() // after the last webhook: while Run runs, it is answered with 202
		grace, cancel := context.WithTimeout(context.WithoutCancel(ctx), 3*time.Second)
		defer cancel()
		return server.Shutdown(grace)
	})
	return group.Wait()
}
