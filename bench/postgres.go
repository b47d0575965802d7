package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/guance-relay/guance-relay/guance"
	"github.com/guance-relay/guance-relay/relay/pgstore"
	"github.com/guance-relay/guance-relay/relay/pgstore/pgtest"
)

// several is what it costs to keep an event for several nodes.
func several(s size) (all []contest) {
	for _, callers := range []int{16, 64} {
		c := contest{
			name: fmt.Sprintf("Nodes/callers=%d", callers),
			about: fmt.Sprintf("%d callers put events of 2 KB, each the next when the last is on the "+
				"disk. *pgstore* is one node on a PostgreSQL of this machine; it has lanes, tells "+
				"duplicates and repetitions, and finds what is pending. *insert* is the least that the "+
				"same engine can do with the same bytes: one connection, and %d rows of a body, a key "+
				"and an ID in each transaction. Its times are those of a transaction. *boltstore* is "+
				"the store of one process.", callers, callers),
			base:  "insert",
			units: []string{"puts/s", "p50-ns", "p99-ns"},
			goals: []goal{{side: "pgstore", unit: "puts/s", of: "insert", min: 0.6,
				text: fmt.Sprintf("durable puts into PostgreSQL from %d callers, of a plain INSERT of as "+
					"many rows", callers)}},
			sides: []side{
				{"insert", func(b *testing.B) error { return insertAll(b, callers, 4*s.burst) }},
				{"pgstore", func(b *testing.B) error { return putAll(b, "pgstore", callers, 4*s.burst) }},
				{"boltstore", func(b *testing.B) error {
					return putAll(b, "boltstore", callers, 4*s.burst)
				}},
			},
		}
		all = append(all, c)
	}
	return all
}

// engine is the PostgreSQL of a run. Its side is absent from a machine without one.
var engine struct {
	once   sync.Once
	server *pgtest.Server
	err    error
}

// emptyEngine starts the engine, once, and returns its DSN. It has no tables.
func emptyEngine() (dsn string, err error) {
	engine.once.Do(func() {
		engine.server, engine.err = pgtest.Start(nil)
		if errors.Is(engine.err, pgtest.ErrNotFound) {
			fmt.Fprintln(os.Stderr, "bench: the sides on PostgreSQL are LEFT OUT:", engine.err)
			engine.err = fmt.Errorf("PostgreSQL: %w", errAbsent)
		}
	})
	if engine.err != nil {
		return "", engine.err
	}
	dsn = engine.server.DSN()
	return dsn, onEngine(dsn, func(ctx context.Context, c *pgx.Conn) error {
		_, err := c.Exec(ctx, "drop schema if exists relay cascade; drop table if exists plain",
			pgx.QueryExecModeSimpleProtocol)
		return err
	})
}

func onEngine(dsn string, fn func(context.Context, *pgx.Conn) error) error {
	ctx := context.Background()
	c, err := pgx.Connect(ctx, dsn)
	if err != nil {
		return err
	}
	return errors.Join(fn(ctx, c), c.Close(ctx))
}

// stopEngine ends the engine and deletes its files.
func stopEngine() {
	if engine.server != nil {
		_ = engine.server.Close() // they are in the directory for temporary files
	}
}

func newNode() (*keeping, error) {
	dsn, err := emptyEngine()
	if err != nil {
		return nil, err
	}
	s, err := openNode(dsn)
	if err != nil {
		return nil, err
	}
	return keepIn(s, s.Close), nil
}

// openNode opens a store that is never full.
func openNode(dsn string) (*pgstore.Store, error) {
	return pgstore.Open(context.Background(), dsn, &pgstore.Options{
		MaxEntries: 1 << 30, MaxBytes: 1 << 40, Logger: slog.New(slog.DiscardHandler),
	})
}

// insertAll inserts so many rows in each transaction, and so many transactions between two looks at
// the clock.
func insertAll(b *testing.B, rows, each int) error {
	dsn, err := emptyEngine()
	if err != nil {
		return err
	}
	m, err := newMint(guance.LevelCritical)
	if err != nil {
		return err
	}
	return onEngine(dsn, func(ctx context.Context, c *pgx.Conn) error {
		// As the table of pgstore: a body stays in the row, and is not compressed.
		if _, err := c.Exec(ctx, `create table plain (lane integer, seq bigint, id bytea,
			problem bytea, body bytea, primary key (lane, seq)) with (toast_tuple_target = 8160);
			alter table plain alter body set storage external`,
			pgx.QueryExecModeSimpleProtocol); err != nil {
			return err
		}
		next := 0
		var took []time.Duration
		burst := func() error {
			for range each {
				seqs := make([]int64, rows)
				ids, problems, bodies := make([][]byte, rows), make([][]byte, rows), make([][]byte, rows)
				for i := range rows {
					e := m.same(uint64(next), uint64(next%3000))
					seqs[i], bodies[i] = int64(next), e.Body
					ids[i], problems[i] = []byte(e.ID), []byte(e.Problem)
					next++
				}
				start := time.Now()
				if _, err := c.Exec(ctx, `insert into plain (lane, seq, id, problem, body)
					select 1, * from unnest($1::bigint[], $2::bytea[], $3::bytea[], $4::bytea[])`,
					seqs, ids, problems, bodies); err != nil {
					return err
				}
				took = append(took, time.Since(start))
			}
			return nil
		}
		if err := burst(); err != nil { // the table is there
			return err
		}
		took = nil
		before := next
		for b.Loop() {
			if err := burst(); err != nil {
				return err
			}
		}
		b.ReportMetric(float64(next-before)/b.Elapsed().Seconds(), "puts/s")
		b.ReportMetric(float64(percentile(took, 50)), "p50-ns")
		b.ReportMetric(float64(percentile(took, 99)), "p99-ns")
		return nil
	})
}
