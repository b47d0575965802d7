package main

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"strconv"
	"strings"
	"testing"

	"github.com/guance-relay/guance-relay/pagerduty"
	"github.com/guance-relay/guance-relay/relay"
	"github.com/guance-relay/guance-relay/relay/boltstore"
	"github.com/guance-relay/guance-relay/relay/console"
	"github.com/guance-relay/guance-relay/relay/memstore"
	"github.com/guance-relay/guance-relay/relay/pagerdutysink"
	"github.com/guance-relay/guance-relay/relay/store"
)

// What a relay is told: the directory of its store or the DSN of its PostgreSQL, none for the
// memory store; the URL of its target; and what that allows in a minute.
const (
	relayDir    = "BENCH_RELAY_DIR"
	relayTarget = "BENCH_RELAY_TARGET"
	relayBudget = "BENCH_RELAY_BUDGET"
)

func init() { roles["relay"] = serveRelay }

// startRelay starts a relay on a store, or without a directory in memory.
func startRelay(b testing.TB, dir, target string, perMinute int) (*process, error) {
	return actor(b, "relay", relayDir+"="+dir, relayTarget+"="+target,
		fmt.Sprint(relayBudget, "=", perMinute))
}

// serveRelay is the role of a relay as a service embeds it: a store, a lane to PagerDuty, a
// handler.
func serveRelay() error {
	var db store.Store = memstore.New()
	switch dir := os.Getenv(relayDir); {
	case strings.HasPrefix(dir, "postgres://"):
		s, err := openNode(dir)
		if err != nil {
			return err
		}
		defer s.Close()
		db = s
	case dir != "":
		// a full one must take more
		s, err := boltstore.Open(dir, &boltstore.Options{MaxEntries: 1 << 30, MaxBytes: 1 << 40})
		if err != nil {
			return err
		}
		defer s.Close()
		db = s
	}
	perMinute, err := strconv.Atoi(os.Getenv(relayBudget))
	if err != nil {
		return err
	}
	log := slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelWarn}))
	r, err := relay.New(db, &relay.Options{Logger: log})
	if err != nil {
		return err
	}
	key, err := pagerduty.ParseRoutingKey(routingKey)
	if err != nil {
		return err
	}
	client, err := pagerduty.NewClient(key, &pagerduty.Options{BaseURL: os.Getenv(relayTarget),
		Logger: log})
	if err != nil {
		return err
	}
	r.Handle(backlogLane, pagerdutysink.New(client, nil), &relay.SinkOptions{PerMinute: perMinute})
	handler, err := relay.NewHandler(r, &relay.HandlerOptions{NoAuth: true})
	if err != nil {
		return err
	}
	page, err := console.New(r, &console.Options{Logger: log})
	if err != nil {
		return err
	}
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- r.Run(ctx) }()
	err = serveRole(handler, page)
	stop()
	if stopped := <-done; stopped != nil {
		fmt.Fprintln(os.Stderr, "bench:", stopped)
	}
	return err
}
