package relay_test

import (
	"errors"
	"fmt"
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/guance-relay/guance-relay/relay"
	"github.com/guance-relay/guance-relay/relay/memstore"
	"github.com/guance-relay/guance-relay/relay/store"
)

// damagedDisk is a store that cannot read its first entry until it is mended.
type damagedDisk struct {
	*memstore.Store
	mended  atomic.Bool
	refused atomic.Int32

	illegible bool // it cannot even be listed
	forgetful bool // nor can the record of its problem
	legible   bool // it can be read, and not be marked
}

// on puts the damage in front of a store.
func (d *damagedDisk) on(s *memstore.Store) *damagedDisk {
	d.Store = s
	d.Intercept(func(c memstore.Call, do func() error) error {
		if err := d.damage(c); err != nil {
			return err
		}
		return do()
	})
	return d
}

// damage returns why a call finds nothing.
func (d *damagedDisk) damage(c memstore.Call) error {
	switch c.Method {
	case "Load":
		if err := d.refuse(c.Seq); err != nil && !d.legible {
			return err
		}
	case "Read":
		if c.Seq == 0 && d.illegible {
			return &store.DamagedError{First: 1, Last: 1, Err: d.refuse(1)}
		}
	case "Records":
		if d.forgetful && slices.Contains(c.Problems, "hurt") {
			return fmt.Errorf("the record of hurt: %w", store.ErrDamaged)
		}
	case "Mark":
		if len(c.Marks) == 0 {
			return errors.New("no mark to make")
		}
		for _, m := range c.Marks {
			if err := d.refuse(m.Seq); err != nil {
				return err
			}
		}
	}
	return nil
}

func (d *damagedDisk) refuse(seq uint64) error {
	if seq != 1 || d.mended.Load() {
		return nil
	}
	d.refused.Add(1)
	return fmt.Errorf("entry %d: %w", seq, store.ErrDamaged)
}

// Promise 7: an entry that the store cannot read delays only its own problem. Once it can be read,
// it ends as any other.
func TestDamagedEntryDelaysNoOther(t *testing.T) {
	for _, test := range []struct {
		name     string
		mendedIn time.Duration
		want     []string
		dead     uint64
	}{
		{"mended in time", 10*time.Hour + time.Minute, []string{"other critical", "other ok",
			"hurt critical", "hurt error"}, 0},
		// The second event of the problem is of the same age as the first, and so dies with it.
		{"mended too late", 200*time.Hour + time.Minute, []string{"other critical", "other ok"}, 2},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				disk, sink := (&damagedDisk{}).on(memstore.New()), &recorder{}
				r := over(t, disk)
				r.Handle("lane", sink, &relay.SinkOptions{MaxAttempts: 1})
				stop := running(t, r)
				accept(t, r, event(t, "1", "hurt", "critical"))
				time.Sleep(time.Second)
				accept(t, r, event(t, "2", "hurt", "error"), event(t, "3", "other", "critical"))
				time.Sleep(time.Second)
				accept(t, r, event(t, "4", "other", "ok"))
				time.Sleep(test.mendedIn)
				expect(t, sink, "other critical", "other ok")
				if n := time.Duration(disk.refused.Load()); n < test.mendedIn/time.Hour ||
					n > test.mendedIn/time.Hour+2 {
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
			})
		})
	}
}

// Promise 7: a damaged entry that was never tried is superseded or skipped, and nothing waits for
// it.
func TestDamageAtTheStart(t *testing.T) {
	for _, test := range []struct {
		name string
		disk *damagedDisk
		left int // in the store, for somebody to mend
		want []string
	}{
		{"superseded", &damagedDisk{}, 1, []string{"hurt error", "other critical", "other ok"}},
		{"not listed", &damagedDisk{illegible: true}, 1, []string{"hurt error", "other critical",
			"other ok"}},
		{"the record", &damagedDisk{forgetful: true}, 1, []string{"hurt error", "other critical",
			"other ok"}},
		{"all of it", &damagedDisk{illegible: true, forgetful: true}, 1,
			[]string{"hurt error", "other critical", "other ok"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				disk, sink := test.disk.on(memstore.New()), &recorder{}
				r := laneOver(t, disk, sink)
				accept(t, r, event(t, "1", "hurt", "critical"), event(t, "2", "hurt", "error"),
					event(t, "3", "other", "critical"))
				stop := running(t, r)
				time.Sleep(30 * time.Second)
				accept(t, r, event(t, "4", "other", "ok"))
				time.Sleep(10 * time.Second)
				got := sink.taken()
				slices.Sort(got)
				if !slices.Equal(got, test.want) {
					t.Errorf("the sink took %q, want %q", got, test.want)
				}
				stop()
				held, err := disk.Holdings(t.Context())
				if err != nil || held["lane"].Pending != test.left {
					t.Errorf("the store holds %+v, %v, want %d pending", held, err, test.left)
				}
			})
		})
	}
}

// If the record of a problem cannot be read, the target may show it: a trigger and its recovery
// that were never sent do not cancel each other.
func TestRecoveryWithoutARecordIsSent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		disk, sink := (&damagedDisk{forgetful: true}).on(memstore.New()), &recorder{}
		disk.mended.Store(true)
		r := laneOver(t, disk, sink)
		accept(t, r, event(t, "1", "hurt", "critical"), event(t, "2", "hurt", "ok"))
		defer running(t, r)()
		time.Sleep(30 * time.Second)
		expect(t, sink, "hurt ok")
	})
}

// An entry that is too old is stuck while its outcome cannot be written.
func TestEndOfTheOldThatCannotBeRecorded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		disk, sink := (&damagedDisk{legible: true}).on(memstore.New()), &recorder{}
		r := over(t, disk)
		r.Handle("lane", sink, &relay.SinkOptions{MaxAge: 30 * time.Minute})
		defer running(t, r)()
		accept(t, r, event(t, "1", "hurt", "critical"), event(t, "2", "other", "critical"))
		time.Sleep(3*time.Hour + time.Minute)
		expect(t, sink, "other critical")
		if s := r.Stats().Lanes[0]; s.Backlog != 1 || s.InFlight != 0 || s.Stuck == nil ||
			s.Stuck.Count != 1 {
			t.Errorf("%+v, stuck %+v; want one entry that is stuck", s, s.Stuck)
		}
		disk.mended.Store(true)
		time.Sleep(2 * time.Hour)
		if s := r.Stats().Lanes[0]; s.Backlog != 0 || s.Dead != 1 || s.Stuck != nil {
			t.Errorf("%+v, want it dead", s)
		}
	})
}
