package main

import (
	"context"
	"io"
	"log/slog"
	"strings"

	"github.com/guance-relay/guance-relay/relay/boltstore"
	"github.com/guance-relay/guance-relay/relay/pgstore"
	"github.com/guance-relay/guance-relay/relay/store"
)

// A durableStore is a store that is open.
type durableStore interface {
	store.Store
	io.Closer
}

// openStore opens PostgreSQL if RELAY_STORE names it, and otherwise the directory of one process.
func (c *config) openStore(ctx context.Context, log *slog.Logger) (durableStore, error) {
	if c.usesPostgres() {
		return pgstore.Open(ctx, c.store, &pgstore.Options{Logger: log})
	}
	return boltstore.Open(c.data, &boltstore.Options{Logger: log})
}

// usesPostgres reports whether several nodes share the store.
func (c *config) usesPostgres() bool {
	return strings.HasPrefix(c.store, "postgres://") || strings.HasPrefix(c.store, "postgresql://")
}
