// Customsink brings Guance events to a target of its own, a Feishu group chat: a relay.Sink of forty lines and its mapping.
//
//	FEISHU_WEBHOOK=https://open.feishu.cn/open-apis/bot/v2/hook/… FEISHU_KEY=… RELAY_TOKEN=… go run ./examples/customsink
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
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	store, err := boltstore.Open("relay-data", nil)
	check(err)
	defer store.Close()

	r, err := relay.New(store, nil)
	check(err)
	r.Handle("feishu", NewFeishu(os.Getenv("FEISHU_WEBHOOK"), os.Getenv("FEISHU_KEY")), Options())
	webhook, err := relay.NewHandler(r, &relay.HandlerOptions{Tokens: []string{os.Getenv("RELAY_TOKEN")}})
	check(err)

	mux := http.NewServeMux()
	mux.Handle("/guance", webhook)
	server := &http.Server{Addr: "127.0.0.1:8080", Handler: mux, ReadHeaderTimeout: 5 * time.Second}
	go func() { log.Println(server.ListenAndServe()) }()
	check(r.Run(ctx))
}

func check(err error) {
	if err != nil {
		log.Fatal(err)
	}
}
