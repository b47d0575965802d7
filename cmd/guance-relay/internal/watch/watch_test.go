package watch_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/guance-relay/guance-relay/cmd/guance-relay/internal/watch"
	"github.com/guance-relay/guance-relay/guance"
	"github.com/guance-relay/guance-relay/relay"
	"github.com/guance-relay/guance-relay/relay/memstore"
)

// A pager takes deliveries, or fails.
type pager struct {
	mu   sync.Mutex
	fail error    // guarded by mu
	got  []string // guarded by mu: state and problem
}

func (p *pager) Deliver(_ context.Context, d *relay.Delivery) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.fail != nil {
		return p.fail
	}
	p.got = append(p.got, d.Event.State().String()+" "+d.Problem)
	return nil
}

func (p *pager) set(err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.fail = err
}

func (p *pager) all() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.got)
}

// A world is a relay with the lanes oncall and payments, and a watch.
type world struct {
	*relay.Relay
	oncall, payments pager
	log              bytes.Buffer
	stop             func()
}

func start(t *testing.T, db *memstore.Store, s *watch.Settings) *world {
	t.Helper()
	wo := &world{}
	log := slog.New(slog.NewTextHandler(&wo.log, nil))
	w := watch.New(watch.Options{Log: log, Node: "n", MaxEntries: 1000, MaxLaneEntries: 500})
	w.Set(s)
	var err error
	wo.Relay, err = relay.New(db, &relay.Options{Logger: log, Received: w.Received,
		Route: func(source string, e *guance.Event) []string {
			if lanes, own := watch.Route(source, s); own {
				return lanes
			}
			if e.Title == "nobody's" {
				return nil
			}
			return []string{"payments"}
		}})
	if err != nil {
		t.Fatal(err)
	}
	wo.Handle("oncall", &wo.oncall, nil)
	wo.Handle("payments", &wo.payments, nil)
	ctx, stop := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	wg.Go(func() {
		if err := wo.Run(ctx); err != nil {
			t.Error(err)
		}
	})
	wg.Go(func() { w.Run(ctx, wo.Relay, db) })
	wo.stop = func() { stop(); wg.Wait() }
	return wo
}

func (wo *world) post(t *testing.T, title string) {
	t.Helper()
	_, err := wo.Accept(t.Context(), &guance.Event{Status: guance.StatusCritical, Title: title,
		EventID: "event-" + title, EventRef: title})
	if err != nil {
		t.Fatal(err)
	}
}

// expect waits for a while, and compares what the lane of the watch has got.
func (wo *world) expect(t *testing.T, after time.Duration, want ...string) {
	t.Helper()
	time.Sleep(after)
	synctest.Wait()
	for i, w := range want {
		want[i] = strings.Replace(w, " ", " source:relay-watch:", 1)
	}
	if got := wo.oncall.all(); !slices.Equal(got, want) {
		t.Fatalf("the lane of the watch has got %q, want %q\n%s", got, want, wo.log.String())
	}
}

var settings = watch.Settings{
	Lane: "oncall", Stuck: 10 * time.Minute, Silence: 2 * time.Hour, Full: 80,
}

// Dead letters, a lane that is stuck, an alert that no lane takes and silence reach the lane of the
// watch, and so does their end.
func TestTroubleIsReportedAndItsEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		wo := start(t, memstore.New(), &settings)
		defer wo.stop()
		wo.post(t, "fine")
		wo.expect(t, time.Minute)
		wo.payments.set(relay.Permanent(errors.New("no such service")))
		wo.post(t, "refused")
		want := []string{"problem dead/payments"}
		wo.expect(t, 30*time.Second, slices.Clone(want)...)
		wo.payments.set(nil)
		if n, _, err := wo.ReplayAll(t.Context(), "payments"); err != nil || n != 1 {
			t.Fatal(n, err)
		}
		want = append(want, "recovered dead/payments")
		wo.expect(t, 30*time.Second, slices.Clone(want)...)
		wo.payments.set(errors.New("down"))
		wo.post(t, "waits")
		wo.expect(t, 9*time.Minute, slices.Clone(want)...)
		want = append(want, "problem stuck/payments")
		wo.expect(t, 2*time.Minute, slices.Clone(want)...)
		wo.payments.set(nil)
		want = append(want, "recovered stuck/payments")
		wo.expect(t, time.Minute, slices.Clone(want)...)
		wo.post(t, "nobody's")
		want = append(want, "problem unrouted")
		wo.expect(t, time.Minute, slices.Clone(want)...)
		want = append(want, "recovered unrouted")
		wo.expect(t, time.Hour, slices.Clone(want)...)
		want = append(want, "problem silence")
		wo.expect(t, 61*time.Minute, slices.Clone(want)...)
		wo.post(t, "again")
		want = append(want, "recovered silence")
		wo.expect(t, time.Minute, slices.Clone(want)...)
	})
}

// A report that cannot be delivered causes no report: neither as a dead letter, nor by what its
// lane has pending.
func TestReportsCauseNoReports(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		wo := start(t, memstore.New(), &settings)
		defer wo.stop()
		wo.oncall.set(relay.Permanent(errors.New("refused")))
		wo.payments.set(relay.Permanent(errors.New("refused")))
		wo.post(t, "dies")
		time.Sleep(time.Hour)
		synctest.Wait()
		dead, err := wo.DeadLetters(t.Context(), "oncall", 0, 100)
		if err != nil || len(dead) != 1 || !strings.HasSuffix(dead[0].Problem, ":dead/payments") {
			t.Errorf("dead letters: %+v, %v; want the one report", dead, err)
		}
		wo.oncall.set(errors.New("down"))
		wo.post(t, "nobody's")
		time.Sleep(30 * time.Minute)
		if n := wo.Stats().Lanes[0].Backlog; n != 1 {
			t.Errorf("%d reports are pending, want the one of the unrouted alert", n)
		}
	})
}

// A trouble that ends while the server is down is resolved after the start, whether its report was
// sent or waits.
func TestTroubleThatEndsDuringAStop(t *testing.T) {
	for _, sent := range []bool{true, false} {
		t.Run(fmt.Sprint(sent), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				db := memstore.New()
				wo := start(t, db, &settings)
				wo.payments.set(relay.Permanent(errors.New("refused")))
				if !sent {
					wo.oncall.set(errors.New("down"))
				}
				wo.post(t, "dies")
				time.Sleep(time.Minute)
				wo.stop()
				wo = start(t, db, &settings)
				defer wo.stop()
				if !sent {
					wo.oncall.set(errors.New("down"))
				}
				if err := wo.Drop(t.Context(), "payments", 1); err != nil {
					t.Fatal(err)
				}
				time.Sleep(time.Minute)
				wo.oncall.set(nil)
				time.Sleep(5 * time.Minute)
				synctest.Wait()
				got := wo.oncall.all()
				last := "recovered source:relay-watch:dead/payments"
				if len(got) == 0 || got[len(got)-1] != last {
					t.Errorf("got %q, want %q at the end", got, last)
				}
			})
		})
	}
}

// A heartbeat is sent only if the synthetic webhook comes all the way: not if the handler refuses
// it, not if the store does, not if the lane does not run, not if nobody could be told of trouble.
func TestHeartbeat(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log := slog.New(slog.NewTextHandler(io.Discard, nil))
		db := memstore.New()
		var heard atomic.Int64
		r, err := relay.New(db, &relay.Options{Logger: log,
			Received: func(source string, _ *guance.Event, _ relay.Receipt) {
				if !watch.Own(source) {
					heard.Add(1)
				}
			},
			Route: func(source string, _ *guance.Event) []string {
				lanes, _ := watch.Route(source, nil)
				return lanes
			}})
		if err != nil {
			t.Fatal(err)
		}
		const secret = "a-synthetic-token"
		public, err := relay.NewHandler(r, &relay.HandlerOptions{Tokens: []string{"guance's"},
			Sources: []relay.Source{{Name: watch.HeartbeatSource, Tokens: []string{secret}}}})
		if err != nil {
			t.Fatal(err)
		}
		var dead pager
		var wrong, laneStuck atomic.Bool
		h := &watch.Heartbeat{
			Every: time.Minute, Switch: &dead, Log: log, LaneStuck: laneStuck.Load,
			Post: func(ctx context.Context) error {
				req := httptest.NewRequestWithContext(ctx, "POST", "/guance", strings.NewReader(watch.Body))
				token := secret
				if wrong.Load() {
					token = "wrong"
				}
				req.Header.Set("Authorization", "Bearer "+token)
				w := httptest.NewRecorder()
				public.ServeHTTP(w, req)
				if w.Code != http.StatusAccepted {
					return errors.New(w.Body.String())
				}
				return nil
			},
		}
		r.Handle(watch.HeartbeatLane, h.Sink(), h.LaneOptions())
		r.Handle("other", &pager{}, &relay.SinkOptions{Fallback: true})
		ctx, stop := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		wg.Go(func() { h.Run(ctx) })
		wg.Go(func() { _ = r.Run(ctx) })
		defer wg.Wait()
		defer stop()
		// beats waits for ten minutes, and counts heartbeats.
		beats := func() int {
			before := len(dead.all())
			time.Sleep(10 * time.Minute)
			synctest.Wait()
			return len(dead.all()) - before
		}
		if n := beats(); n < 9 {
			t.Errorf("%d heartbeats in ten minutes", n)
		}
		wrong.Store(true)
		if n := beats(); n > 0 {
			t.Errorf("%d heartbeats although the handler refuses", n)
		}
		wrong.Store(false)
		laneStuck.Store(true)
		if n := beats(); n > 0 {
			t.Errorf("%d heartbeats although nobody can be told of trouble", n)
		}
		laneStuck.Store(false)
		if n := beats(); n < 9 {
			t.Errorf("%d heartbeats in ten minutes after that", n)
		}
		if err := r.Pause(t.Context(), watch.HeartbeatLane, 10*time.Minute, "me", ""); err != nil {
			t.Fatal(err)
		}
		if n := beats(); n > 1 { // at the end of the pause
			t.Errorf("%d heartbeats although the lane is paused", n)
		}
		if n := heard.Load(); n > 0 {
			t.Errorf("%d webhooks count as Guance's", n)
		}
		if held, err := db.Holdings(t.Context()); err != nil || held["other"].Pending > 0 ||
			r.Stats().Lanes[1].Delivered > 0 {
			t.Errorf("a synthetic event came to another lane: %+v, %v", held, err)
		}
	})
}

// A lane that has four fifths of what it may have pending is reported before it is full.
func TestFullStore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		wo := start(t, memstore.New(), &settings)
		defer wo.stop()
		wo.payments.set(errors.New("down"))
		for i := range 399 {
			wo.post(t, fmt.Sprint(i))
		}
		wo.expect(t, 30*time.Second)
		wo.post(t, "one more")
		wo.expect(t, 30*time.Second, "problem full")
		wo.payments.set(nil)
		time.Sleep(5 * time.Minute)
		synctest.Wait()
		if got := wo.oncall.all(); got[len(got)-1] != "recovered source:relay-watch:full" {
			t.Errorf("got %q", got)
		}
	})
}
