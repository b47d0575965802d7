// Embed is the relay inside an existing service: a handler on the service's own mux, and Run beside its server.
package main

import (
	"context"
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
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	key, err := pagerduty.ParseRoutingKey(os.Getenv("PAGERDUTY_ROUTING_KEY"))
	check(err)
	client, err := pagerduty.NewClient(key, nil)
	check(err)
	store, err := boltstore.Open("relay-data", nil)
	check(err)
	defer store.Close()

	r, err := relay.New(store, nil)
	check(err)
	r.Handle("pagerduty", pagerdutysink.New(client, nil), nil)
	webhook, err := relay.NewHandler(r, &relay.HandlerOptions{Tokens: []string{os.Getenv("RELAY_TOKEN")}})
	check(err)

	mux := http.NewServeMux() // the service's own
	mux.Handle("/guance", webhook)
	server := &http.Server{Addr: "127.0.0.1:8080", Handler: mux, ReadHeaderTimeout: 5 * time.Second}
	go func() { log.Println(server.ListenAndServe()) }()
	check(r.Run(ctx)) // what is not delivered when it returns is delivered after the next start
}

func check(err error) {
	if err != nil {
		log.Fatal(err)
	}
}
