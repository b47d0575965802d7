package relay_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/guance-relay/guance-relay/guance"
	"github.com/guance-relay/guance-relay/relay"
	"github.com/guance-relay/guance-relay/relay/memstore"
	"github.com/guance-relay/guance-relay/relay/store"
)

// queued is a target with a queue in front: it may handle a request after its answer.
type queued struct {
	// loses returns how long after the nth request the target handles it, negative for at once, and
	// the answer.
	loses func(d *relay.Delivery, n int) (time.Duration, error)

	mu   sync.Mutex
	n    int
	sent []string
	at   []time.Time
	open map[string]bool
}

func (q *queued) Deliver(_ context.Context, d *relay.Delivery) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.n++
	q.sent = append(q.sent, d.Problem+" "+string(d.Event.Status))
	q.at = append(q.at, time.Now())
	open, problem := d.Event.State() == guance.StateProblem, d.Problem
	later, err := q.loses(d, q.n)
	if later < 0 {
		q.handle(problem, open)
		return err
	}
	time.AfterFunc(later, func() {
		q.mu.Lock()
		defer q.mu.Unlock()
		q.handle(problem, open)
	})
	return err
}

func (q *queued) handle(problem string, open bool) {
	if q.open == nil {
		q.open = make(map[string]bool)
	}
	q.open[problem] = open
}

func (q *queued) isOpen(problem string) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.open[problem]
}

func (q *queued) got(t *testing.T, want ...string) {
	t.Helper()
	q.mu.Lock()
	defer q.mu.Unlock()
	if !slices.Equal(q.sent, want) {
		t.Errorf("the target was sent %v at %v, want %v", q.sent, q.at, want)
	}
}

// lostError is an error of a client that says itself whether an answer was lost.
type lostError bool

func (e lostError) Error() string    { return fmt.Sprintf("answer lost: %v", bool(e)) }
func (e lostError) AnswerLost() bool { return bool(e) }
func (lostError) Timeout() bool      { return true }

// The target handles the first trigger 40 s after its answer was lost, and after the recovery.
func TestReport11LateAnswer(t *testing.T) {
	tests := map[string]struct {
		err  error
		lost bool
		says bool // the sink calls LostAnswer
	}{
		"a timeout":                          {context.DeadlineExceeded, true, false},
		"a cut":                              {fmt.Errorf("post: %w", context.Canceled), true, false},
		"a connection that ends":             {fmt.Errorf("post: %w", io.EOF), true, false},
		"an answer that ends":                {io.ErrUnexpectedEOF, true, false},
		"a connection that is reset":         {fmt.Errorf("read: %w", syscall.ECONNRESET), true, false},
		"a broken pipe":                      {fmt.Errorf("write: %w", syscall.EPIPE), true, false},
		"a client that says so":              {fmt.Errorf("send: %w", lostError(true)), true, false},
		"a success after a quick retry":      {nil, true, true},
		"a failure that the sink knows of":   {errors.New("503"), true, true},
		"a dead letter":                      {relay.Permanent(errors.New("400")), true, true},
		"an answer":                          {errors.New("503"), false, false},
		"a timeout before anything was sent": {lostError(false), false, false},
		"a success":                          {nil, false, false},
		"an answer that asks to be left alone": {relay.RetryAfter(errors.New("429"), time.Second),
			false, false},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				target := &queued{loses: func(d *relay.Delivery, n int) (time.Duration, error) {
					if n > 1 {
						return -1, nil
					}
					if test.says {
						d.LostAnswer()
					}
					if !test.lost {
						return -1, test.err
					}
					return 40 * time.Second, test.err
				}}
				r, db := run(t, target, nil)
				accept(t, r, event(t, "1", "p", "critical"))
				time.Sleep(5 * time.Second)
				accept(t, r, event(t, "2", "p", "ok"))
				time.Sleep(50 * time.Second)
				if held, err := db.Holdings(t.Context()); err != nil ||
					(held["lane"].Pending == 1) != test.lost {
					t.Errorf("holdings %v, %v; want the recovery pending: %v", held, err, test.lost)
				}
				s := r.Stats().Lanes[0]
				if test.lost && (s.State != relay.Repeating || s.Backlog != 1 || s.Stuck != nil ||
					s.Reason != "") {
					t.Errorf("%+v, want one entry that waits to be sent a second time", s)
				}
				histories, err := r.Explain(t.Context(), "p")
				if err != nil || strings.Contains(fmt.Sprint(histories), "sent a second time") != test.lost {
					t.Errorf("%v, %v; want it to say that the recovery is sent a second time: %v", histories,
						err, test.lost)
				}
				time.Sleep(time.Minute)
				if target.isOpen("p") {
					t.Error("the problem is open at the target")
				}
				want := []string{"p critical", "p critical", "p ok", "p ok"}
				if test.err == nil || strings.Contains(test.err.Error(), "400") {
					want = want[1:]
				}
				if !test.lost {
					want = want[:len(want)-1]
				}
				target.got(t, want...)
				if s := r.Stats().Lanes[0]; s.Backlog != 0 || s.Delivered+s.Dead != 2 {
					t.Errorf("%+v, want two entries that ended", s)
				}
			})
		})
	}
}

// losing loses the answer to the first request for each problem, which the target handles 40 s
// later.
func losing() *queued {
	seen := make(map[string]bool)
	return &queued{loses: func(d *relay.Delivery, _ int) (time.Duration, error) {
		if first := !seen[d.Problem]; first {
			seen[d.Problem] = true
			return 40 * time.Second, context.DeadlineExceeded
		}
		return -1, nil
	}}
}

// A recovery is sent a second time a minute later, not before, and ends delivered whatever the
// answer is.
func TestRecoveryIsSentOnceMore(t *testing.T) {
	for name, second := range map[string]error{
		"taken": nil, "failed": errors.New("503"), "refused": relay.Permanent(errors.New("400")),
		"throttled": relay.RetryAfter(errors.New("429"), 0),
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				target := &queued{loses: func(_ *relay.Delivery, n int) (time.Duration, error) {
					return -1, [...]error{context.DeadlineExceeded, nil, nil, second}[n-1]
				}}
				db, log := memstore.New(), new(lockedBuffer)
				r, err := relay.New(db, &relay.Options{Logger: slog.New(slog.NewTextHandler(log,
					&slog.HandlerOptions{Level: slog.LevelDebug}))})
				if err != nil {
					t.Fatal(err)
				}
				r.Handle("lane", target, &relay.SinkOptions{MaxAttempts: 1})
				defer running(t, r)()
				accept(t, r, event(t, "1", "p", "critical"))
				time.Sleep(5 * time.Second)
				accept(t, r, event(t, "2", "p", "ok"))
				time.Sleep(2 * time.Minute)
				target.got(t, "p critical", "p critical", "p ok", "p ok")
				if after := target.at[3].Sub(target.at[2]); after < time.Minute || after > 62*time.Second {
					t.Errorf("it was sent a second time after %v, want a minute", after)
				}
				settled := db.Settled("lane")
				if last := settled[len(settled)-1]; last.Outcome != store.Delivered ||
					(last.Reason == "") != (second == nil) {
					t.Errorf("the recovery ended as %v, %q", last.Outcome, last.Reason)
				}
				failed := name == "failed" || name == "throttled"
				if strings.Contains(log.String(), "did not take a recovery a second time") != failed {
					t.Errorf("the log says that it was not taken a second time: %v", !failed)
				}
				if paused := r.Stats().Lanes[0].PerMinute < 60; paused != (name == "throttled") {
					t.Errorf("%v requests a minute: the lane heard of the 429: %v",
						r.Stats().Lanes[0].PerMinute, paused)
				}
			})
		})
	}
}

// A newer state cancels a repeat. The problem stays in doubt, also after a restart.
func TestNewerStateCancelsTheSecondRecovery(t *testing.T) {
	for _, restarts := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			target, db := losing(), memstore.New()
			start := func() (*relay.Relay, func()) {
				r := laneOver(t, db, target)
				return r, running(t, r)
			}
			r, stop := start()
			accept(t, r, event(t, "1", "p", "critical"))
			time.Sleep(5 * time.Second)
			accept(t, r, event(t, "2", "p", "ok"))
			time.Sleep(10 * time.Second)
			accept(t, r, event(t, "3", "p", "error"))
			time.Sleep(5 * time.Second)
			target.got(t, "p critical", "p critical", "p ok", "p error")
			if restarts {
				stop()
				db = db.Restart()
				r, stop = start()
			}
			accept(t, r, event(t, "4", "p", "ok")) // before the target handles the first trigger
			time.Sleep(2 * time.Minute)
			target.got(t, "p critical", "p critical", "p ok", "p error", "p ok", "p ok")
			if target.isOpen("p") {
				t.Error("the problem is open at the target")
			}
			stop()
		})
	}
}

// What an earlier process had begun is a lost answer.
func TestCrashIsALostAnswer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		db := memstore.New()
		target := &queued{loses: func(d *relay.Delivery, n int) (time.Duration, error) {
			if n == 1 { // the process is killed: what it does from now on reaches no store
				db = db.Restart()
				return 40 * time.Second, nil
			}
			return -1, nil
		}}
		r := laneOver(t, db, target)
		accept(t, r, event(t, "1", "p", "critical"))
		if err := r.Run(t.Context()); !errors.Is(err, store.ErrClosed) {
			t.Fatalf("Run: %v, want ErrClosed", err)
		}
		r = laneOver(t, db, target)
		defer running(t, r)()
		accept(t, r, event(t, "2", "p", "ok"))
		time.Sleep(2 * time.Minute)
		target.got(t, "p critical", "p critical", "p ok", "p ok")
		if target.isOpen("p") {
			t.Error("the problem is open at the target")
		}
	})
}

// With EveryEvent, each event is sent once.
func TestEveryLaneSendsARecoveryOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		target := losing()
		r, _ := run(t, target, &relay.SinkOptions{EveryEvent: true})
		accept(t, r, event(t, "1", "p", "critical"))
		time.Sleep(5 * time.Second)
		accept(t, r, event(t, "2", "p", "ok"))
		time.Sleep(2 * time.Minute)
		target.got(t, "p critical", "p critical", "p ok")
	})
}
