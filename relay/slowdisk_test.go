package relay_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/guance-relay/guance-relay/guance"
	"github.com/guance-relay/guance-relay/relay"
	"github.com/guance-relay/guance-relay/relay/memstore"
	"github.com/guance-relay/guance-relay/relay/store"
)

// slowDisk is a store that takes seconds for each mark. It keeps a journal of what became durable;
// a sink adds what was sent.
type slowDisk struct {
	*memstore.Store
	reading time.Duration // what a read takes
	mu      sync.Mutex
	journal []string
	busy    bool // it marks what was superseded
}

// superseding begins or ends a mark of what was superseded: there is one at a time.
func (d *slowDisk) superseding(begins bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if begins && d.busy {
		d.journal = append(d.journal, "two at a time")
	}
	d.busy = begins
}

func (d *slowDisk) note(format string, args ...any) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.journal = append(d.journal, fmt.Sprintf(format, args...))
}

func newSlowDisk(reading time.Duration) *slowDisk {
	d := &slowDisk{Store: memstore.New(), reading: reading}
	d.Intercept(func(c memstore.Call, do func() error) error {
		switch c.Method {
		case "Read":
			time.Sleep(d.reading)
		case "Mark":
			d.mark(c.Marks)
		}
		return do()
	})
	return d
}

func (d *slowDisk) mark(marks []store.Mark) {
	if marks[0].Outcome == store.Superseded {
		d.superseding(true)
		defer d.superseding(false)
	}
	time.Sleep(time.Second)
	var words []string
	for _, m := range marks {
		if m.Outcome != 0 {
			time.Sleep(2 * time.Second) // longer than the next entry needs to begin
		}
		words = append(words, fmt.Sprintf("%v %d", m.Outcome, m.Seq))
	}
	d.note("%s durable", strings.Join(words, " and "))
}

// Promise 3 over a crash at any moment: that an attempt begins is durable before it does, how it
// ended before the problem's next entry is sent, and what cancels each other ends in one write.
func TestMarksComeFirst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		disk := newSlowDisk(0)
		r := over(t, disk)
		r.Handle("lane", relay.SinkFunc(func(_ context.Context, d *relay.Delivery) error {
			disk.note("%d sent", d.Seq)
			return nil
		}), nil)
		stop := running(t, r)
		defer stop()
		time.Sleep(time.Minute)
		accept(t, r, event(t, "1", "p", "critical"))
		time.Sleep(100 * time.Millisecond)
		accept(t, r, event(t, "2", "p", "ok"))
		time.Sleep(time.Minute)
		accept(t, r, event(t, "3", "p", "critical"), event(t, "4", "p", "ok"))
		time.Sleep(time.Minute)
		disk.mu.Lock()
		defer disk.mu.Unlock()
		want := []string{
			"pending 1 durable", "1 sent", "delivered 1 durable",
			"pending 2 durable", "2 sent", "delivered 2 durable",
			"superseded 3 and superseded 4 durable",
		}
		if !slices.Equal(disk.journal, want) {
			t.Errorf("got %v, want %v", strings.Join(disk.journal, ", "), strings.Join(want, ", "))
		}
	})
}

// Promise 6 after a restart: nothing is sent before the whole backlog was read, as its last entry
// may be the worst news.
func TestStartReadsTheBacklogFirst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		disk := newSlowDisk(time.Second)
		sink := &recorder{}
		r := over(t, disk)
		r.Handle("lane", sink, &relay.SinkOptions{Concurrency: 1})
		for i := range 2500 {
			accept(t, r, event(t, fmt.Sprint(i), fmt.Sprint(i), "warning"))
		}
		accept(t, r, event(t, "worst", "worst", "fatal"))
		stop := running(t, r)
		time.Sleep(30 * time.Second)
		stop()
		if got := sink.taken(); len(got) == 0 || got[0] != "worst fatal" {
			t.Errorf("the first that was sent, of %d, is %v, want the worst", len(got),
				got[:min(len(got), 1)])
		}
	})
}

// Promises 3 and 6 while a slow disk still writes what was superseded: it counts as remembered, and
// nothing waits for it.
func TestMarksOnTheirWay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		disk, sink := newSlowDisk(0), &recorder{}
		r := laneOver(t, disk, sink)
		stop := running(t, r)
		time.Sleep(time.Minute)
		at := func(id, problem, status string, date int) *guance.Event {
			e := event(t, id, problem, status)
			e.Raw, e.Date = nil, time.Unix(int64(date), 0)
			return e
		}
		// which cancel each other
		accept(t, r, at("1", "p", "critical", 1_700_000_003), at("2", "p", "ok", 1_700_000_013))
		time.Sleep(100 * time.Millisecond)
		accept(t, r, at("3", "p", "critical", 1_700_000_002)) // overtaken by both
		accept(t, r, event(t, "4", "q", "critical"))
		// what the mark of an attempt takes; those of the pair take five seconds
		time.Sleep(1500 * time.Millisecond)
		expect(t, sink, "q critical")
		time.Sleep(time.Minute)
		expect(t, sink, "q critical")
		stop()
		if slices.Contains(disk.journal, "two at a time") {
			t.Errorf("the marks of what was superseded are not made one after the other: %v", disk.journal)
		}
		if held, err := disk.Holdings(t.Context()); err != nil || held["lane"].Pending != 0 {
			t.Errorf("the store holds %+v, %v, want nothing", held, err)
		}
	})
}

// Promise 3 for a replay while a slow disk still writes what was superseded.
func TestReplayWhileMarksAreOnTheirWay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		disk, sink := newSlowDisk(0), &recorder{}
		sink.answer = func(context.Context, *relay.Delivery) error {
			time.Sleep(3 * time.Hour)
			return nil
		}
		r := over(t, disk)
		r.Handle("lane", sink, &relay.SinkOptions{Concurrency: 1, MaxAge: time.Hour})
		defer running(t, r)()
		accept(t, r, event(t, "1", "slow", "critical"))
		time.Sleep(time.Minute)
		accept(t, r, event(t, "2", "p", "critical"))
		time.Sleep(2 * time.Hour)
		dead := deadLetters(t, r)
		if len(dead) != 1 || dead[0].Problem != "p" {
			t.Fatalf("dead letters %+v, want p, which became too old unsent", dead)
		}
		// These two cancel each other. Their marks take five seconds.
		accept(t, r, event(t, "3", "p", "error"), event(t, "4", "p", "ok"))
		time.Sleep(100 * time.Millisecond)
		if err := r.Replay(t.Context(), "lane", dead[0].Seq); !errors.Is(err, relay.ErrStale) {
			t.Errorf("Replay: %v, want ErrStale", err)
		}
		time.Sleep(24 * time.Hour)
		expect(t, sink, "slow critical")
	})
}
