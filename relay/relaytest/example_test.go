package relaytest_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/guance-relay/guance-relay/guance"
	"github.com/guance-relay/guance-relay/relay"
	"github.com/guance-relay/guance-relay/relay/relaytest"
	"github.com/guance-relay/guance-relay/relay/store"
)

var t *testing.T // of TestMySink(t *testing.T)

// A sink that posts the body of each event. It takes any 2xx for a delivery and all else for a
// failure, which the suite reports.
func ExampleTestSink() {
	newSink := func(_ *testing.T, target *relaytest.Target) relay.Sink {
		return relay.SinkFunc(func(ctx context.Context, d *relay.Delivery) error {
			body := bytes.NewReader(d.Event.Raw)
			req, err := http.NewRequestWithContext(ctx, http.MethodPost, target.URL+"/s3cret", body)
			if err != nil {
				return relay.Permanent(err)
			}
			resp, err := http.DefaultClient.Do(req)
			if err != nil {
				return err
			}
			defer resp.Body.Close()
			if resp.StatusCode/100 != 2 {
				return errors.New(resp.Status)
			}
			return nil
		})
	}
	relaytest.TestSink(t, newSink, &relaytest.SuiteOptions{Secrets: []string{"s3cret"}})
}

// A target that fails once, throttles once and then takes everything.
func Example() {
	target := relaytest.Record(relaytest.Times(1, relaytest.Fails(errors.New("502 Bad Gateway")),
		relaytest.Times(1, relaytest.Throttles(30*time.Second), relaytest.Takes())))

	event := &guance.Event{EventID: "event-1", EventRef: "disk", Status: guance.StatusCritical}
	for n := range 3 {
		// as a lane does
		_ = target.Deliver(context.Background(), &relay.Delivery{Event: event, Problem: "disk",
			Seq: 1, Attempt: n + 1})
	}
	for _, a := range target.Of("disk") {
		fmt.Println(a.Number, a.State, a.Level, a.Answer)
	}
	// Output:
	// 1 problem critical unknown
	// 2 problem critical throttled
	// 3 problem critical taken
}

// A history in which a trigger is sent again after its recovery.
func ExampleHistory_Check() {
	t0 := time.Date(2026, 3, 1, 3, 0, 0, 0, time.UTC)
	fault := &guance.Event{EventID: "event-1", Status: guance.StatusCritical, Timestamp: t0}
	recovery := &guance.Event{EventID: "event-2", Status: guance.StatusOK,
		Timestamp: t0.Add(time.Minute)}

	h := relaytest.History{Accepted: []relaytest.Accepted{
		relaytest.Told(fault, "disk", t0),
		relaytest.Told(recovery, "disk", t0.Add(time.Minute)),
	}}
	for _, sent := range []struct {
		event *guance.Event
		after time.Duration
	}{{fault, time.Second}, {recovery, 61 * time.Second}, {fault, 90 * time.Second}} {
		h.Attempts = append(h.Attempts, relaytest.Attempt{
			ID: relay.EventID("", sent.event), Problem: "disk", State: sent.event.State(),
			Level: sent.event.Level(),
			Start: t0.Add(sent.after), Answer: relaytest.Taken,
		})
	}
	for _, e := range []*guance.Event{fault, recovery} {
		h.Settled = append(h.Settled, store.Settlement{Entry: store.Entry{ID: relay.EventID("", e),
			Problem: "disk"}, Outcome: store.Delivered})
	}
	v, _ := errors.AsType[*relaytest.Violation](h.Check(nil))
	fmt.Printf("promise %d is broken by entry %d:\n%s\n", v.Promise, v.Seq, v.Text)
	// Output:
	// promise 3 is broken by entry 1:
	// it was sent at 03:01:30.000, after the newer entry 2 at 03:01:01.000
}
