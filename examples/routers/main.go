// Routers mounts the relay's handler in net/http, chi, gin and echo, and logs what Guance says.
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

	"github.com/guance-relay/guance-relay/relay"
	"github.com/guance-relay/guance-relay/relay/boltstore"
)

func main() {
	mount := routers["net/http"]
	if len(os.Args) > 1 {
		mount = routers[os.Args[1]]
	}
	if mount == nil {
		log.Fatalf("no router %q: net/http, chi, gin or echo", os.Args[1])
	}
	signal.Ignore(syscall.SIGPIPE) // the end of the log's reader is not the end of the service; see examples/embed
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, mount); err != nil {
		log.Fatal(err)
	}
}

// run takes webhooks and delivers until ctx ends, or until it cannot go on. It closes what it opened.
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
	webhook, err := relay.NewHandler(r, &relay.HandlerOptions{Tokens: []string{os.Getenv("RELAY_TOKEN")}})
	if err != nil {
		return err
	}

	server := &http.Server{Addr: cmp.Or(os.Getenv("RELAY_LISTEN"), "127.0.0.1:8080"), Handler: mount(webhook), ReadHeaderTimeout: 5 * time.Second}

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

func logEvent(_ context.Context, d *relay.Delivery) error {
	log.Printf("%s %s: %q", d.Event.State(), d.Event.Level(), d.Event.Title)
	return nil
}
