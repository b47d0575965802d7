package boltstore_test

import (
	"context"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	bolt "go.etcd.io/bbolt"

	"github.com/guance-relay/guance-relay/guance"
	"github.com/guance-relay/guance-relay/relay"
	"github.com/guance-relay/guance-relay/relay/boltstore"
)

// BenchmarkAppend puts events of 2 KB with so many producers, in turns to three stores, and reports how much of the floor's throughput the
// others have, as the median of the turns. An operation is 50 puts of each producer to each store.
//
//   - The floor is the least that a durable put costs: one file that only grows, one goroutine, one write and one sync for all that has
//     queued up: size, checksum, event. Its index is a map; it has no lanes, no duplicates and no end.
//   - Plain is a bbolt bucket with the same goroutine: what a store of this kind costs that does nothing else.
//   - The store is boltstore.
func BenchmarkAppend(b *testing.B) {
	for _, producers := range []int{16, 64, 256} {
		b.Run(fmt.Sprint("producers=", producers), func(b *testing.B) {
			const each = 50
			floor, plain := newFloor(b), newPlain(b)
			s, err := boltstore.Open(b.TempDir(), nil)
			if err != nil {
				b.Fatal(err)
			}
			body := make([]byte, 2048)
			n := 0
			// All producers make an entry, so that only what becomes of it differs.
			measure := func(put func(*relay.Entry) error) float64 {
				return inParallel(producers, func(p int) {
					for i := range each {
						e := benchEntry(fmt.Sprintf("event-%d-%d-%d/critical/", n, p, i), fmt.Sprintf("0f8e5a1c9d3b4e7f8a6c2d1b-%d", (p*each+i)%3000), body)
						if err := put(e); err != nil {
							b.Error(err)
						}
					}
				}).Seconds()
			}
			var ofFloor, ofPlain, plainOfFloor []float64
			var puts, seconds float64
			for ; b.Loop(); n++ {
				f := measure(floor.put)
				p := measure(plain.put)
				st := measure(func(e *relay.Entry) error { return s.Append(context.Background(), []*relay.Entry{e}) })
				ofFloor, ofPlain, plainOfFloor = append(ofFloor, f/st), append(ofPlain, p/st), append(plainOfFloor, f/p)
				puts, seconds = puts+float64(producers*each), seconds+st
			}
			b.ReportMetric(median(ofFloor), "of-floor")
			b.ReportMetric(median(ofPlain), "of-plain")
			b.ReportMetric(median(plainOfFloor), "plain-of-floor")
			b.ReportMetric(puts/seconds, "puts/s")
			close(floor.puts)
			close(plain.puts)
			if err := s.Close(); err != nil {
				b.Error(err)
			}
		})
	}
}

// A group commits what has queued up, as one.
type group struct{ puts chan put }

type put struct {
	body []byte
	done chan error
}

func (g *group) put(e *relay.Entry) error {
	done := make(chan error, 1)
	g.puts <- put{e.Body, done}
	return <-done
}

func newGroup(commit func([]put) error) *group {
	g := &group{make(chan put, 512)}
	go func() {
		for p := range g.puts {
			batch := []put{p}
			for len(g.puts) > 0 && len(batch) < 512 {
				batch = append(batch, <-g.puts)
			}
			err := commit(batch)
			for _, p := range batch {
				p.done <- err
			}
		}
	}()
	return g
}

func newFloor(b *testing.B) *group {
	f, err := os.Create(filepath.Join(b.TempDir(), "floor"))
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { f.Close() })
	var buf []byte
	var offset int64
	index := make(map[uint64]int64)
	return newGroup(func(batch []put) error {
		buf = buf[:0]
		for _, p := range batch {
			index[uint64(len(index))] = offset + int64(len(buf))
			buf = binary.LittleEndian.AppendUint32(buf, uint32(len(p.body)))
			buf = binary.LittleEndian.AppendUint32(buf, crc32.ChecksumIEEE(p.body))
			buf = append(buf, p.body...)
		}
		offset += int64(len(buf))
		if _, err := f.Write(buf); err != nil {
			return err
		}
		return f.Sync()
	})
}

func newPlain(b *testing.B) *group {
	db, err := bolt.Open(filepath.Join(b.TempDir(), "plain"), 0o600, &bolt.Options{NoFreelistSync: true, FreelistType: bolt.FreelistMapType})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { db.Close() })
	return newGroup(func(batch []put) error {
		return db.Update(func(tx *bolt.Tx) error {
			bucket, err := tx.CreateBucketIfNotExists([]byte("bucket"))
			if err != nil {
				return err
			}
			for _, p := range batch {
				n, err := bucket.NextSequence()
				if err != nil {
					return err
				}
				if err := bucket.Put(binary.BigEndian.AppendUint64(nil, n), p.body); err != nil {
					return err
				}
			}
			return nil
		})
	})
}

func benchEntry(id, problem string, body []byte) *relay.Entry {
	now := time.Now()
	return &relay.Entry{
		Lane: "pagerduty", ID: id, Problem: problem, State: guance.StateProblem, Level: guance.LevelCritical,
		Time: now, Accepted: now, Body: body,
	}
}

func inParallel(n int, fn func(int)) time.Duration {
	start := time.Now()
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() { fn(i) })
	}
	wg.Wait()
	return time.Since(start)
}

func median(list []float64) float64 {
	slices.Sort(list)
	return list[len(list)/2]
}
