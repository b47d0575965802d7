package relay_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"regexp"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/guance-relay/guance-relay/relay"
	"github.com/guance-relay/guance-relay/relay/memstore"
)

// keyError is what a client says of a key that the target does not know.
type keyError struct{}

func (keyError) Error() string  { return "400 Invalid routing key" }
func (keyError) Remedy() string { return "check the routing key and the region" }

// noisy is a relay with one lane and a log that can be read.
func noisy(t *testing.T, sink relay.Sink, opts *relay.SinkOptions) (*relay.Relay, *lockedBuffer) {
	t.Helper()
	log := new(lockedBuffer)
	r, err := relay.New(memstore.New(), &relay.Options{Logger: slog.New(slog.NewTextHandler(log,
		nil))})
	if err != nil {
		t.Fatal(err)
	}
	r.Handle("lane", sink, opts)
	t.Cleanup(running(t, r))
	return r, log
}

// complaints are the lines of a log that say that something does not get through.
func complaints(log *lockedBuffer) (lines []string) {
	for line := range strings.Lines(log.String()) {
		if strings.Contains(line, "do not get through") ||
			strings.Contains(line, "did not take an event") {
			lines = append(lines, line)
		}
	}
	return lines
}

// The target is in trouble for a while, and answers what is no word about an event: all that waits
// goes out once it is well.
func TestReport03TroubleKillsNothing(t *testing.T) {
	for _, waiting := range []int{1, 4, 50} {
		for _, lasts := range []time.Duration{time.Second, 10 * time.Minute, 7 * time.Hour} {
			t.Run(fmt.Sprint(waiting, " for ", lasts), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					start := time.Now()
					sink := &recorder{answer: func(context.Context, *relay.Delivery) error {
						if time.Since(start) < lasts {
							return errors.New("302 to a login page")
						}
						return nil
					}}
					r, _ := run(t, sink, &relay.SinkOptions{PerMinute: 6000, MaxAttempts: 2})
					for i := range waiting {
						accept(t, r, event(t, fmt.Sprint(i), fmt.Sprint("p", i), "critical"))
					}
					time.Sleep(time.Until(start.Add(lasts + 31*time.Second)))
					if s := r.Stats().Lanes[0]; s.Delivered != uint64(waiting) {
						t.Errorf("31 s after the trouble: %+v, want %d delivered", s, waiting)
					}
				})
			})
		}
	}
}

// PagerDuty does not know the key for ten minutes: nothing dies, and the lane says within a minute
// what is wrong and what to do.
func TestReport05UnknownKeyIsSaidAndWaits(t *testing.T) {
	for _, waiting := range []int{1, 50} {
		t.Run(fmt.Sprint(waiting), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				start := time.Now()
				sink := &recorder{answer: func(context.Context, *relay.Delivery) error {
					if time.Since(start) < 10*time.Minute {
						return fmt.Errorf("sending: %w", keyError{})
					}
					return nil
				}}
				r, log := noisy(t, sink, &relay.SinkOptions{PerMinute: 6000})
				for i := range waiting {
					accept(t, r, event(t, fmt.Sprint(i), fmt.Sprint("p", i), "critical"))
				}
				for minute := range 9 {
					time.Sleep(time.Until(start.Add(time.Duration(minute+1)*time.Minute + time.Second)))
					lines := complaints(log)
					if len(lines) < minute+1 || len(lines) > minute+2 {
						t.Errorf("%d lines after %d minutes, want one a minute:\n%s", len(lines), minute+1,
							strings.Join(lines, ""))
					}
					last := lines[len(lines)-1]
					for _, part := range []string{
						"level=ERROR", "Invalid routing key", `remedy="check the routing key and the region"`,
						fmt.Sprintf("stuck=%d oldest=%s", waiting, start.Format(time.DateOnly)),
					} {
						if !strings.Contains(last, part) {
							t.Errorf("the log says %q, want %s in it", last, part)
						}
					}
					s := r.Stats().Lanes[0].Stuck
					if s == nil || s.Count != waiting || s.Reason != "sending: 400 Invalid routing key" ||
						s.Remedy != (keyError{}).Remedy() || s.Oldest.Sub(start).Abs() > time.Second {
						t.Errorf("after %d minutes stuck is %+v, want all %d", minute+1, s, waiting)
					}
				}
				time.Sleep(time.Until(start.Add(10*time.Minute + 31*time.Second)))
				if s := r.Stats().Lanes[0]; s.Delivered != uint64(waiting) || s.Stuck != nil || s.Reason != "" {
					t.Errorf("31 s after the key is right: %+v, want all delivered and nothing stuck", s)
				}
				said := len(complaints(log))
				time.Sleep(time.Hour)
				if n := len(complaints(log)); n != said {
					t.Errorf("%d complaints when all is well", n-said)
				}
			})
		})
	}
}

// What is stuck is said once a minute and stays in the figures while everything else goes through,
// until it dies.
func TestStuckIsSaidWhateverElseGoesThrough(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sink := &recorder{answer: func(_ context.Context, d *relay.Delivery) error {
			if d.Problem == "poison" {
				return errors.New("no understanding of it")
			}
			return nil
		}}
		r, log := noisy(t, sink, &relay.SinkOptions{PerMinute: 6000, MaxAttempts: 1 << 20})
		start := time.Now()
		accept(t, r, event(t, "0", "poison", "critical"))
		for i := range 5 * 3600 { // what goes through a second: each failure counts
			time.Sleep(time.Second)
			accept(t, r, event(t, fmt.Sprint("e", i), fmt.Sprint("p", i), "warning"))
			if i%600 != 599 {
				continue
			}
			if s := r.Stats().Lanes[0]; s.Stuck == nil || s.Stuck.Count != 1 ||
				s.Stuck.Reason != "no understanding of it" {
				t.Fatalf("after %v stuck is %+v, want the poison", time.Since(start), s.Stuck)
			}
		}
		if n := len(complaints(log)); n < 299 || n > 301 {
			t.Errorf("%d complaints in five hours, want one a minute", n)
		}
		if n := strings.Count(log.String(), "takes events again"); n > 301 {
			t.Errorf("the log says %d times that the target takes events again", n)
		}
		for i := range 3700 {
			time.Sleep(time.Second)
			accept(t, r, event(t, fmt.Sprint("f", i), fmt.Sprint("q", i), "warning"))
		}
		if s := r.Stats().Lanes[0]; s.Dead != 1 || s.Stuck != nil {
			t.Errorf("after six hours: %+v, want the poison dead and nothing stuck", s)
		}
		dead, err := r.DeadLetters(t.Context(), "lane", 0, 10)
		reason := regexp.MustCompile(`^failed \d+ times within 6h0m\d+s while the target took other events, last: no understanding of it$`)
		if err != nil || len(dead) != 1 || !reason.MatchString(dead[0].Reason) ||
			dead[0].At.Sub(start) < 6*time.Hour {
			t.Errorf("dead letters %+v, %v; want the poison, after six hours", dead, err)
		}
	})
}

// A line says that the target takes events again where one said that it did not, and not for each
// success beside a failure.
func TestTroubleIsNotSaidForEachAttempt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var asked atomic.Int32
		sink := &recorder{answer: func(context.Context, *relay.Delivery) error {
			if asked.Add(1)%2 == 1 {
				return errors.New("503")
			}
			return nil
		}}
		r, log := noisy(t, sink, &relay.SinkOptions{PerMinute: 6000})
		for i := range 600 {
			accept(t, r, event(t, fmt.Sprint(i), fmt.Sprint("p", i), "warning"))
			time.Sleep(time.Second)
		}
		lines := slices.DeleteFunc(slices.Collect(strings.Lines(log.String())), func(line string) bool {
			return strings.Contains(line, "event delivered") // that is one line for each event
		})
		if len(lines) > 25 {
			t.Errorf("%d lines in ten minutes of every other attempt failing, want about two a minute",
				len(lines))
		}
	})
}

// A budget that is too small for an attempt's requests keeps events from getting through, and that
// is said as any other trouble is.
func TestEmptyBudgetIsSaid(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sink := &recorder{answer: func(ctx context.Context, d *relay.Delivery) error {
			for range 2 {
				if err := d.Wait(ctx); err != nil {
					return fmt.Errorf("503, and then: %w", err)
				}
			}
			return nil
		}}
		r, log := noisy(t, sink, &relay.SinkOptions{PerMinute: 1})
		time.Sleep(time.Hour)
		accept(t, r, event(t, "1", "p", "critical"))
		time.Sleep(10*time.Minute + time.Second)
		lines := complaints(log)
		if len(lines) < 9 || len(lines) > 11 || !strings.Contains(lines[0], "the budget has no request") {
			t.Errorf("%d lines in ten minutes, want one a minute:\n%s", len(lines), strings.Join(lines, ""))
		}
		if s := r.Stats().Lanes[0]; s.Failed != 0 ||
			!strings.Contains(s.Reason, "the budget has no request") {
			t.Errorf("%+v, want no failure of the target's, and the reason", s)
		}
	})
}

// An event that the target took is delivered, though the budget had nothing left for a second
// request.
func TestEmptyBudgetOfADeliveredEvent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sink := &recorder{answer: func(ctx context.Context, d *relay.Delivery) error {
			if err := errors.Join(d.Wait(ctx), d.Wait(ctx)); err == nil {
				t.Error("the budget has a second request")
			}
			return nil
		}}
		r, log := noisy(t, sink, &relay.SinkOptions{PerMinute: 1})
		time.Sleep(time.Hour)
		accept(t, r, event(t, "1", "p", "critical"))
		time.Sleep(10 * time.Minute)
		expect(t, sink, "p critical")
		if s := r.Stats().Lanes[0]; s.Delivered != 1 || s.Reason != "" || len(complaints(log)) != 0 {
			t.Errorf("%+v, want no trouble:\n%s", s, log)
		}
	})
}

// A 429 is one, though the budget had nothing left for a second request.
func TestEmptyBudgetAfterA429(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sink := &recorder{answer: func(ctx context.Context, d *relay.Delivery) error {
			return relay.RetryAfter(errors.Join(errors.New("429"), d.Wait(ctx), d.Wait(ctx)), 10*time.Minute)
		}}
		r, _ := noisy(t, sink, &relay.SinkOptions{PerMinute: 1})
		time.Sleep(time.Hour)
		accept(t, r, event(t, "1", "p", "critical"))
		time.Sleep(time.Minute)
		if s := r.Stats().Lanes[0]; s.State != relay.Paused || s.Throttled != 1 {
			t.Errorf("%+v, want a pause after one attempt", s)
		}
	})
}

// Why an entry is stuck is its last failure, and not that the target asked for quiet since.
func TestStuckKeepsItsReason(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var asked atomic.Int32
		sink := &recorder{answer: func(context.Context, *relay.Delivery) error {
			if asked.Add(1) <= 3 {
				return errors.New("no understanding of it")
			}
			return relay.RetryAfter(errors.New("429"), 10*time.Minute)
		}}
		r, _ := noisy(t, sink, nil)
		accept(t, r, event(t, "1", "p", "critical"))
		time.Sleep(5 * time.Minute)
		if s := r.Stats().Lanes[0]; s.State != relay.Paused || s.Stuck == nil ||
			s.Stuck.Reason != "no understanding of it" {
			t.Errorf("%+v, stuck %+v; want its last failure", s, s.Stuck)
		}
	})
}

// Trouble that has passed is not said once more.
func TestTroubleThatPassedIsNotSaid(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var asked atomic.Int32
		sink := &recorder{answer: func(context.Context, *relay.Delivery) error {
			if asked.Add(1) <= 2 {
				return errors.New("503")
			}
			return nil
		}}
		r, log := noisy(t, sink, nil)
		accept(t, r, event(t, "1", "p", "critical"))
		time.Sleep(time.Hour)
		expect(t, sink, "p critical")
		if lines := complaints(log); len(lines) != 1 {
			t.Errorf("%d complaints, want one at the first failure:\n%s", len(lines),
				strings.Join(lines, ""))
		}
	})
}
