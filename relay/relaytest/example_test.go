package relaytest_test

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/guance-relay/guance-relay/guance"
	"github.com/guance-relay/guance-relay/relay"
	"github.com/guance-relay/guance-relay/relay/relaytest"
	"github.com/guance-relay/guance-relay/relay/store"
)

// A target that fails once, throttles once and then takes what comes.
func Example() {
	target := relaytest.Record(relaytest.Times(1, relaytest.Fails(errors.New("502 Bad Gateway")),
		relaytest.Times(1, relaytest.Throttles(30*time.Second), relaytest.Takes())))

	event := &guance.Event{EventID: "event-1", EventRef: "disk", Status: guance.StatusCritical}
	for n := range 3 {
		_ = target.Deliver(context.Background(), &relay.Delivery{Event: event, Problem: "disk", Seq: 1, Attempt: n + 1}) // a lane's work
	}
	for _, a := range target.Of("disk") {
		fmt.Println(a.Number, a.State, a.Level, a.Answer)
	}
	// Output:
	// 1 problem critical unknown
	// 2 problem critical throttled
	// 3 problem critical taken
}

// A history in which a trigger is sent again after its recovery, told by a sender and by the wire.
func ExampleHistory_Check() {
	t0 := time.Date(2026, 3, 1, 3, 0, 0, 0, time.UTC)
	fault := &guance.Event{EventID: "event-1", Status: guance.StatusCritical, Timestamp: t0}
	recovery := &guance.Event{EventID: "event-2", Status: guance.StatusOK, Timestamp: t0.Add(time.Minute)}

	h := relaytest.History{Accepted: []relaytest.Accepted{
		relaytest.Told(fault, "disk", t0),
		relaytest.Told(recovery, "disk", t0.Add(time.Minute)),
	}}
	for _, sent := range []struct {
		event *guance.Event
		after time.Duration
	}{{fault, time.Second}, {recovery, 61 * time.Second}, {fault, 90 * time.Second}} {
		h.Attempts = append(h.Attempts, relaytest.Attempt{
			ID: relay.EventID(sent.event), Problem: "disk", State: sent.event.State(), Level: sent.event.Level(),
			Start: t0.Add(sent.after), Answer: relaytest.Taken,
		})
	}
	for _, e := range []*guance.Event{fault, recovery} {
		h.Settled = append(h.Settled, store.Settlement{Entry: store.Entry{ID: relay.EventID(e), Problem: "disk"}, Outcome: store.Delivered})
	}
	fmt.Println(h.Check(nil))
	// Output:
	// promise 3 is broken for problem "disk" by entry 1: it was sent at 03:01:30.000, after the newer entry 2 at 03:01:01.000
}
