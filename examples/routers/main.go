// Routers mounts the relay's handler in net/http, chi, gin and echo, and logs what Guance says.
//
//	RELAY_TOKEN=… go run ./examples/routers gin
package main

import (
	"context"
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
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	store, err := boltstore.Open("relay-data", nil)
	check(err)
	defer store.Close()

	r, err := relay.New(store, nil)
	check(err)
	r.Handle("log", relay.SinkFunc(logEvent), &relay.SinkOptions{Every: true})
	webhook, err := relay.NewHandler(r, &relay.HandlerOptions{Tokens: []string{os.Getenv("RELAY_TOKEN")}})
	check(err)

	server := &http.Server{Addr: "127.0.0.1:8080", Handler: mount(webhook), ReadHeaderTimeout: 5 * time.Second}
	go func() { log.Println(server.ListenAndServe()) }()
	check(r.Run(ctx))
}

func logEvent(_ context.Context, d *relay.Delivery) error {
	log.Printf("%s %s: %q", d.Event.State(), d.Event.Level(), d.Event.Title)
	return nil
}

func check(err error) {
	if err != nil {
		log.Fatal(err)
	}
}
