package main

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"strings"

	"go.opentelemetry.io/otel/metric"

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
func (c *config) openStore(
	ctx context.Context, bounds boltstore.Options, meters metric.MeterProvider, log *slog.Logger,
) (durableStore, error) {
	if c.usesPostgres() {
		db, err := pgstore.Open(ctx, c.store, &pgstore.Options{
			MaxEntries: bounds.MaxEntries, MaxLaneEntries: bounds.MaxLaneEntries,
			MaxBytes: bounds.MaxBytes, Remembered: bounds.Remembered, History: bounds.History,
			MaxDead: bounds.MaxDead, DeadAge: bounds.DeadAge, MaxRecords: bounds.MaxRecords,
			Logger: log, MeterProvider: meters,
		})
		if err != nil {
			return nil, err // a nil *pgstore.Store would be a store
		}
		return db, nil
	}
	if c.store != "" {
		return nil, errors.New("RELAY_STORE must be a URL that begins with postgres://; for a " +
			"directory, set RELAY_DATA")
	}
	bounds.Logger, bounds.MeterProvider = log, meters
	db, err := boltstore.Open(c.data, &bounds)
	if err != nil {
		return nil, err
	}
	return db, nil
}

// usesPostgres reports whether several nodes share the store.
func (c *config) usesPostgres() bool {
	return strings.HasPrefix(c.store, "postgres://") || strings.HasPrefix(c.store, "postgresql://")
}
