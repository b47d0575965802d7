package relay_test

import (
	"context"
	"fmt"
	"log/slog"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/guance-relay/guance-relay/relay"
)

// damagedDisk is a store that cannot read its first entry until it is mended.
type damagedDisk struct {
	*relay.MemStore
	mended  atomic.Bool
	refused atomic.Int32
}

func (d *damagedDisk) Acquire(ctx context.Context, lane string) (relay.Lease, error) {
	l, err := d.MemStore.Acquire(ctx, lane)
	return &damagedLease{l, d}, err
}

type damagedLease struct {
	relay.Lease
	disk *damagedDisk
}

func (l *damagedLease) refuse(seq uint64) error {
	if seq != 1 || l.disk.mended.Load() {
		return nil
	}
	l.disk.refused.Add(1)
	return fmt.Errorf("entry %d: %w", seq, relay.ErrDamaged)
}

func (l *damagedLease) Load(ctx context.Context, seq uint64) (*relay.Entry, error) {
	if err := l.refuse(seq); err != nil {
		return nil, err
	}
	return l.Lease.Load(ctx, seq)
}

func (l *damagedLease) Mark(ctx context.Context, marks []relay.Mark) error {
	for _, m := range marks {
		if err := l.refuse(m.Seq); err != nil {
			return err
		}
	}
	return l.Lease.Mark(ctx, marks)
}

// Promise 7: an entry that the store cannot read delays its own problem and nothing else, however long that lasts, and once it can be read
// it ends as any other.
func TestDamagedEntryDelaysNoOther(t *testing.T) {
	for _, test := range []struct {
		name     string
		mendedIn time.Duration
		want     []string
		dead     uint64
	}{
		{"mended in time", 10*time.Hour + time.Minute, []string{"other critical", "other ok", "hurt critical", "hurt error"}, 0},
		// The second event of the problem is of the same age as the first, and so dies with it.
		{"mended too late", 200*time.Hour + time.Minute, []string{"other critical", "other ok"}, 2},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				disk, sink := &damagedDisk{MemStore: relay.NewMemStore()}, &recorder{}
				r, err := relay.New(disk, &relay.Options{Logger: slog.New(slog.DiscardHandler)})
				if err != nil {
					t.Fatal(err)
				}
				r.Handle("lane", sink, &relay.SinkOptions{MaxAttempts: 1})
				ctx, stop := context.WithCancel(t.Context())
				done := make(chan error)
				go func() { done <- r.Run(ctx) }()
				accept(t, r, event(t, "1", "hurt", "critical"))
				time.Sleep(time.Second)
				accept(t, r, event(t, "2", "hurt", "error"), event(t, "3", "other", "critical"))
				time.Sleep(time.Second)
				accept(t, r, event(t, "4", "other", "ok"))
				time.Sleep(test.mendedIn)
				expect(t, sink, "other critical", "other ok")
				if n := time.Duration(disk.refused.Load()); n < test.mendedIn/time.Hour || n > test.mendedIn/time.Hour+2 {
					t.Errorf("the entry was looked at %d times in %v, want once an hour", n, test.mendedIn)
				}
				if s := r.Stats().Lanes[0]; s.Backlog != 2 || s.Oldest.IsZero() {
					t.Errorf("got %+v, want the damaged entry and the one behind it in the backlog", s)
				}
				disk.mended.Store(true)
				time.Sleep(2 * time.Hour)
				expect(t, sink, test.want...)
				if s := r.Stats().Lanes[0]; s.Backlog != 0 || s.Dead != test.dead {
					t.Errorf("got %+v, want no backlog and %d dead letters", s, test.dead)
				}
				stop()
				if err := <-done; err != nil {
					t.Error(err)
				}
			})
		})
	}
}
