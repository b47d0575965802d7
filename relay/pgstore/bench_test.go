package pgstore_test

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/guance-relay/guance-relay/guance"
	"github.com/guance-relay/guance-relay/relay/pgstore"
	"github.com/guance-relay/guance-relay/relay/pgstore/pgtest"
	"github.com/guance-relay/guance-relay/relay/store"
)

var body = bytes.Repeat([]byte("0123456789abcdef"), 125) // 2 KB, a usual event

// durable starts a server with fsync, and returns its DSN.
func durable(b *testing.B) string {
	b.Helper()
	if server == nil {
		b.Skip("SKIPPED: PostgreSQL is not installed")
	}
	own, err := pgtest.Start(nil)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = own.Close() })
	return own.DSN()
}

// BenchmarkAppend has so many callers that append one event each, of problems of their own.
func BenchmarkAppend(b *testing.B) {
	for _, callers := range []int{1, 16, 64} {
		b.Run(fmt.Sprint(callers), func(b *testing.B) {
			s := openAt(b, durable(b), schema(b, pgstore.Options{}))
			acquire(b, s, "node", "pagerduty")
			var next atomic.Int64
			var mu sync.Mutex
			var took []time.Duration
			var wg sync.WaitGroup
			b.ResetTimer()
			for range callers {
				wg.Go(func() {
					var own []time.Duration
					for n := next.Add(1); n <= int64(b.N); n = next.Add(1) {
						begin := time.Now()
						err := s.Append(b.Context(), &store.Batch{
							Nonce: fmt.Sprint("nonce ", n), Served: []string{"pagerduty"},
							Events: []*store.Event{{
								ID: fmt.Sprint("event-", n), Problem: fmt.Sprint("a problem of host-", n%4096),
								State: guance.StateProblem, Level: guance.LevelCritical, Time: begin,
								Accepted: begin, Body: body, Wanted: []store.Offer{{Lane: "pagerduty"}},
							}},
						})
						if err != nil {
							b.Error(err)
							return
						}
						own = append(own, time.Since(begin))
					}
					mu.Lock()
					defer mu.Unlock()
					took = append(took, own...)
				})
			}
			wg.Wait()
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "append/s")
			slices.Sort(took)
			if len(took) > 0 {
				b.ReportMetric(float64(took[len(took)/2].Microseconds())/1000, "p50-ms")
				b.ReportMetric(float64(took[len(took)*99/100].Microseconds())/1000, "p99-ms")
			}
		})
	}
}

// BenchmarkInsert inserts the same bytes, so many rows in each transaction: what the engine could
// do.
func BenchmarkInsert(b *testing.B) {
	for _, rows := range []int{16, 64} {
		b.Run(fmt.Sprint(rows), func(b *testing.B) {
			ctx := context.Background()
			c, err := pgx.Connect(ctx, durable(b))
			if err != nil {
				b.Fatal(err)
			}
			defer c.Close(ctx)
			table := fmt.Sprint("plain_", schemas.Add(1))
			if _, err := c.Exec(ctx, "create table "+table+` (lane integer, seq bigint, id bytea,
				problem bytea, body bytea, primary key (lane, seq));
				alter table `+table+` alter body set storage external`); err != nil {
				b.Fatal(err)
			}
			b.ResetTimer()
			for n := 0; n < b.N; n += rows {
				var seqs []int64
				var ids, problems, bodies [][]byte
				for i := n; i < n+rows; i++ {
					seqs = append(seqs, int64(i))
					ids = append(ids, fmt.Append(nil, "event-", i))
					problems = append(problems, fmt.Append(nil, "a problem of host-", i%4096))
					bodies = append(bodies, body)
				}
				if _, err := c.Exec(ctx, "insert into "+table+` select 1, *
					from unnest($1::bigint[], $2::bytea[], $3::bytea[], $4::bytea[])`,
					seqs, ids, problems, bodies); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "row/s")
		})
	}
}
