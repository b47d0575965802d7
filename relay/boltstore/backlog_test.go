package boltstore_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/guance-relay/guance-relay/guance"
	"github.com/guance-relay/guance-relay/relay/store"
)

// TestBacklog fills a store and drains it, three times. After the first time, the file may grow by
// two steps of 16 MiB, because records and history come to be between the free pages. Figures for a
// backlog of a million are in the bench.
func TestBacklog(t *testing.T) {
	const entries, callers = 20_000, 64
	dir := t.TempDir()
	size := func() int64 {
		info, err := os.Stat(filepath.Join(dir, "relay.db"))
		if err != nil {
			t.Fatal(err)
		}
		return info.Size()
	}
	body := []byte(strings.Repeat("b", 2000))
	var sizes [3]int64
	for round := range sizes {
		s := open(t, dir, nil)
		const each = entries / callers
		var wg sync.WaitGroup
		for c := range callers {
			wg.Go(func() {
				for i := range each {
					now := time.Now()
					e := &store.Entry{
						Lane: "pagerduty", ID: fmt.Sprintf("event-%d-%d-%d/critical/", round, c, i),
						Problem: fmt.Sprintf("0f8e5a1c9d3b4e7f8a6c2d1b-%d",
							(i*callers+c)%(entries/4)),
						State: guance.StateProblem, Level: guance.LevelCritical, Time: now,
						Accepted: now, Body: body,
					}
					if err := keep(context.Background(), s, e); err != nil {
						t.Error(err)
					}
				}
			})
		}
		wg.Wait()
		sizes[round] = size()
		s = reopen(t, s, dir, nil)
		lease := acquire(t, s)
		drained := 0
		for after := uint64(0); drained < each*callers; {
			found, err := lease.Read(t.Context(), after, 1000)
			if err != nil {
				t.Fatal(err)
			}
			settle(t, lease, store.Superseded, time.Now(), found...)
			after = found[len(found)-1].Seq
			drained += len(found)
		}
		if held, err := s.Holdings(t.Context()); err != nil || len(held) != 0 {
			t.Errorf("Holdings of a drained store: %v, %v", held, err)
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if perEntry := sizes[0] / entries; perEntry > 3000 {
		t.Errorf("an event of 2,000 bytes takes %d bytes of the file", perEntry)
	}
	if step := int64(33 << 20); sizes[2] > sizes[0]+max(step, sizes[0]/20) {
		t.Errorf("the file grew from %d to %d and %d bytes when it was filled again", sizes[0],
			sizes[1], sizes[2])
	}
}
