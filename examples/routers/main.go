// Routers mounts the relay's handler in net/http, chi, gin or echo, and logs each event.
//
//	RELAY_TOKEN=… go run ./examples/routers gin
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

	"github.com/guance-relay/guance-relay/relay"
	"github.com/guance-relay/guance-relay/relay/boltstore"
)

func main() {
	name := "net/http"
	if len(os.Args) > 1 {
		name = os.Args[1]
	}
	mount := routers[name]
	if mount == nil {
		log.Fatalf("no router %q: must be net/http, chi, gin or echo", name)
	}
	signal.Ignore(syscall.SIGPIPE) // see examples/embed
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, mount); err != nil {
		log.Fatal(err)
	}
}

// run takes webhooks and delivers events until ctx ends or something fails.
func run(ctx context.Context, mount func(webhook http.Handler) http.Handler) (err error) {
	store, err := boltstore.Open("relay-data", nil)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, store.Close()) }()
	r, err := relay.New(store, nil)
	if err != nil {
		return err
	}
	r.Handle("log", relay.SinkFunc(logEvent), &relay.SinkOptions{EveryEvent: true})
	tokens := []string{os.Getenv("RELAY_TOKEN")}
	webhook, err := relay.NewHandler(r, &relay.HandlerOptions{Tokens: tokens})
	if err != nil {
		return err
	}

	address := cmp.Or(os.Getenv("RELAY_LISTEN"), "127.0.0.1:8080")
	server := &http.Server{Addr: address, Handler: mount(webhook), ReadHeaderTimeout: 5 * time.Second}
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

func logEvent(_ context.Context, d *relay.Delivery) error {
	log.Printf("%s %s: %q", d.Event.State(), d.Event.Level(), d.Event.Title)
	return nil
}
