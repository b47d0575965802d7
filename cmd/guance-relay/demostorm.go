package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/guance-relay/guance-relay/guance"
	"github.com/guance-relay/guance-relay/guance/guancetest"
	"github.com/guance-relay/guance-relay/relay"
)

// The storm of the demonstration. With a budget of 120 requests a minute, 2,000 events come within
// a minute, and what waits then is sent within one more.
const (
	stormEvents = 2000
	stormNew    = 3 // new critical problems in it
	demoLane    = "pagerduty"
)

// playStorm posts a storm, waits until everything was sent, and prints how the predictions
// compare with what happened.
func (d *demo) playStorm(ctx context.Context, events, perMinute int) error {
	began := time.Now()
	if err := d.postStorm(ctx, began, events, perMinute); err != nil {
		return err
	}
	predicted, err := d.server.relay.Waiting(ctx, demoLane, &relay.WaitingOptions{Limit: 1000})
	if err != nil {
		return err
	}
	fmt.Fprintf(d.stdout, "All events were reported. From here on nothing new arrives, and the "+
		"predicted time of each of the %d that wait should come true.\n", predicted.Pending)
	for next := began; d.lane().Backlog > 0; {
		if now := time.Now(); !now.Before(next) {
			next = now.Add(10 * time.Second)
			d.printFigures(began, events)
		}
		if err := sleepUntil(ctx, time.Now().Add(100*time.Millisecond)); err != nil {
			return err
		}
	}
	d.printFigures(began, events)
	return d.compare(ctx, predicted)
}

// postStorm posts the events of a storm, and new critical problems among them. It returns when
// these have incidents.
func (d *demo) postStorm(ctx context.Context, began time.Time, events, perMinute int) error {
	lasts := time.Minute * 120 / time.Duration(perMinute) * time.Duration(events) / stormEvents
	storm := guancetest.Storm{Problems: max(events*3/40, 1), Events: events, Start: began,
		Rate: max(1, int(float64(events)/lasts.Seconds()))}
	fmt.Fprintf(d.stdout, "Guance reports %d events of %d problems within %v. The budget is %d "+
		"requests a minute.\n", events, storm.Problems, lasts, perMinute)
	opened := make(chan error, stormNew)
	posted, news, next := 0, 0, began
	for delivery := range storm.Deliveries() {
		due := began.Add(lasts * time.Duration(posted) / time.Duration(events))
		if err := sleepUntil(ctx, due); err != nil {
			return err
		}
		if err := postDemo(ctx, d.client, d.url, delivery.Event.Raw); err != nil {
			return err
		}
		posted++
		if n := news + 1; posted*stormNew >= n*events {
			news = n
			go func() { opened <- d.overtake(ctx, n) }()
		}
		if now := time.Now(); !now.Before(next) {
			next = now.Add(5 * time.Second)
			d.printFigures(began, posted)
		}
	}
	for range news {
		if err := <-opened; err != nil {
			return err
		}
	}
	return nil
}

// overtake posts a new critical problem, waits for its incident, and prints how soon it opened.
func (d *demo) overtake(ctx context.Context, n int) error {
	p := guancetest.NewProblem("支付失败率 payment failures", "region", fmt.Sprint("eu-", n))
	p.Now = time.Now()
	event := p.Fault(guance.LevelCritical)
	waiting, sent, began := d.lane().Backlog, len(d.fake.Requests()), time.Now()
	if err := postDemo(ctx, d.client, d.url, event.Raw); err != nil {
		return err
	}
	if err := d.fake.WaitOpen(ctx, event.ProblemKey()); err != nil {
		return fmt.Errorf("the fake PagerDuty does not show it: %w", err)
	}
	before := 0
	for _, r := range d.fake.Requests()[sent:] {
		if r.DedupKey == event.ProblemKey() {
			break
		}
		before++
	}
	fmt.Fprintf(d.stdout, "A new critical problem came while %d events waited. Its incident opened "+
		"after %v; %d requests went first.\n", waiting, time.Since(began).Round(10*time.Millisecond),
		before)
	return nil
}

// compare prints how far off the predictions of a page were.
func (d *demo) compare(ctx context.Context, page *relay.WaitingPage) error {
	var shares []float64 // of the wait that was predicted
	var worst time.Duration
	for _, w := range page.Entries {
		if w.At.IsZero() || w.Why == relay.WaitInFlight {
			continue
		}
		histories, err := d.server.relay.Explain(ctx, w.Problem)
		if err != nil {
			return err
		}
		if len(histories) != 1 {
			return fmt.Errorf("problem %s has %d histories, want one", w.Problem, len(histories))
		}
		i := slices.IndexFunc(histories[0].Entries, func(e relay.EntryStatus) bool {
			return e.Seq == w.Seq
		})
		if i < 0 || histories[0].Entries[i].Outcome == 0 {
			return fmt.Errorf("nothing is known of event %d of problem %s", w.Seq, w.Problem)
		}
		off := histories[0].Entries[i].At.Sub(w.At).Abs()
		worst = max(worst, off)
		if wait := w.At.Sub(page.At); wait > 0 {
			shares = append(shares, off.Seconds()/wait.Seconds())
		}
	}
	if len(shares) == 0 {
		return errors.New("nothing waited at the end of the storm, so no prediction can be compared")
	}
	slices.Sort(shares)
	fmt.Fprintf(d.stdout, "Predictions compared with what happened, for %d events: median error "+
		"%.1f %% of the predicted wait; the largest error was %v.\n", len(shares),
		100*shares[len(shares)/2], worst.Round(10*time.Millisecond))
	return nil
}

func (d *demo) lane() relay.LaneStats { return d.server.relay.Stats().Lanes[0] }

// printFigures prints what has become of the storm so far.
func (d *demo) printFigures(began time.Time, posted int) {
	l := d.lane()
	fmt.Fprintf(d.stdout, "%4.0f s: %d reported, %d waiting, %d sent, %d superseded, %d ignored\n",
		time.Since(began).Seconds(), posted, l.Backlog, l.Delivered, l.Superseded, l.Ignored)
}

// sleepUntil waits until a time, or until ctx ends.
func sleepUntil(ctx context.Context, t time.Time) error {
	select {
	case <-time.After(time.Until(t)):
		return ctx.Err()
	case <-ctx.Done():
		return ctx.Err()
	}
}
