package relay

import (
	"context"
	"crypto/rand"
	"fmt"
	"time"

	"github.com/guance-relay/guance-relay/guance"
	"github.com/guance-relay/guance-relay/relay/store"
)

const (
	// lookForTest is how often SendTest looks whether the test page was sent.
	lookForTest = 250 * time.Millisecond
	// testTimeout is how long SendTest waits for that at most.
	testTimeout = time.Minute
)

// SendTest sends a test page through one lane: a critical problem that is marked as a test and
// names who asked for it. The recovery follows once the problem has ended in the lane, after a
// minute at the latest, or when ctx ends. Nothing else gets it, whatever Match and Route say. It
// spends two requests of the budget, and waits as any new critical problem does.
//
// SendTest returns how the problem ended: with [store.Delivered], the target took it. Outcome 0
// says that it was still pending. If the process ends before the recovery is kept, the target goes
// on to show the test. SendTest fails with [ErrNoLane] if the lane has no sink, and as
// [Relay.Accept] does.
func (r *Relay) SendTest(ctx context.Context, name, by string) (*EntryStatus, error) {
	l := r.findLane(name)
	if l == nil || l.sink == nil {
		return nil, r.noLane(ctx, name, "sending a test page")
	}
	problem := "relay-test-" + rand.Text()
	if err := r.keepTest(ctx, l, problem, by, guance.StatusCritical); err != nil {
		return nil, err
	}
	waiting, cancel := context.WithTimeout(ctx, testTimeout)
	defer cancel()
	last := EntryStatus{Ended: store.Outcome(0).String()}
	for last.Outcome == 0 && sleep(waiting, lookForTest) {
		if h, err := r.store.History(waiting, name, problem); err == nil && len(h) > 0 {
			last = statusOf(&h[0].Entry).ended(h[0].Outcome, h[0].Reason, h[0].At)
		}
	}
	return &last, r.keepTest(context.WithoutCancel(ctx), l, problem, by, guance.StatusOK)
}

// keepTest keeps an event of a test page for one lane.
func (r *Relay) keepTest(
	ctx context.Context, l *lane, problem, by string, status guance.Status,
) error {
	now := r.clock.wall()
	ev := &guance.Event{
		Timestamp: now, Date: now, Status: status, EventID: "test-" + rand.Text(),
		Title: "TEST of the relay: nothing is wrong",
		Message: "A test page of the relay, sent by " + by + ". Nothing is wrong. It resolves itself " +
			"within a minute.",
		Source: "custom", EventRef: problem, CheckerName: "relay test",
		DimensionTags: map[string]string{"relay_test": "true"},
	}
	e, err := storedEvent("", problem, ev, now)
	if err != nil {
		return fmt.Errorf("relay: lane %q: sending a test page: %w", l.name, err)
	}
	e.Wanted = []store.Offer{l.offer(ev)}
	lanes := r.lanes.Load()
	err = r.keep(ctx, time.Now(), &store.Batch{Events: []*store.Event{e}, Served: lanes.served})
	if err != nil {
		return r.stopIfFailed(fmt.Errorf("relay: lane %q: sending a test page: %w", l.name, err))
	}
	r.received(lanes, e, &Receipt{Lanes: make(map[string]string)})
	l.log.Info("relay: a test page was accepted", "status", string(status), "problem", problem,
		"by", by)
	return nil
}
