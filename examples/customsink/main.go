// Customsink sends Guance events to a target of its own, a Feishu group chat, through a relay.Sink.
//
//	FEISHU_WEBHOOK=https://open.feishu.cn/open-apis/bot/v2/hook/… FEISHU_KEY=… RELAY_TOKEN=… \
//	  go run ./examples/customsink
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
	signal.Ignore(syscall.SIGPIPE) // see examples/embed
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx); err != nil {
		log.Fatal(err)
	}
}

// run takes webhooks and delivers events until ctx ends or something fails.
func run(ctx context.Context) (err error) {
	store, err := boltstore.Open("relay-data", nil)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, store.Close()) }()
	r, err := relay.New(store, nil)
	if err != nil {
		return err
	}
	r.Handle("feishu", NewFeishu(os.Getenv("FEISHU_WEBHOOK"), os.Getenv("FEISHU_KEY")), Options())
	tokens := []string{os.Getenv("RELAY_TOKEN")}
	webhook, err := relay.NewHandler(r, &relay.HandlerOptions{Tokens: tokens})
	if err != nil {
		return err
	}

	mux := http.NewServeMux()
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
