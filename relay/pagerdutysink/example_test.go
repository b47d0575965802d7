package pagerdutysink_test

import (
	"context"
	"fmt"
	"log/slog"

	"github.com/guance-relay/guance-relay/guance"
	"github.com/guance-relay/guance-relay/guance/guancetest"
	"github.com/guance-relay/guance-relay/pagerduty"
	"github.com/guance-relay/guance-relay/pagerduty/pagerdutytest"
	"github.com/guance-relay/guance-relay/relay"
	"github.com/guance-relay/guance-relay/relay/memstore"
	"github.com/guance-relay/guance-relay/relay/pagerdutysink"
)

// A problem becomes a trigger. Its dedup_key is the problem key.
func ExampleNew() {
	fake := pagerdutytest.NewServer() // instead of PagerDuty
	defer fake.Close()
	key, err := pagerduty.ParseRoutingKey("e93facc04764012d7bfb002500d5d1a6")
	if err != nil {
		fmt.Println(err)
		return
	}
	client, err := pagerduty.NewClient(key, &pagerduty.Options{BaseURL: fake.URL})
	if err != nil {
		fmt.Println(err)
		return
	}
	r, err := relay.New(memstore.New(), &relay.Options{Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		fmt.Println(err)
		return
	}
	sent := make(chan bool)
	r.Handle("pagerduty", pagerdutysink.New(client, nil), &relay.SinkOptions{
		Middleware: func(next relay.Sink) relay.Sink { // only for this example: to know when it is sent
			return relay.SinkFunc(func(ctx context.Context, d *relay.Delivery) error {
				defer close(sent)
				return next.Deliver(ctx, d)
			})
		},
	})
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan error)
	go func() { done <- r.Run(ctx) }()

	event := guancetest.NewProblem("disk", "host", "web001").Fault(guance.LevelCritical)
	if _, err := r.Accept(ctx, event); err != nil {
		fmt.Println(err)
	}
	<-sent
	stop()
	<-done
	for _, req := range fake.Requests() {
		fmt.Println(req.Action, req.Summary, req.DedupKey == event.ProblemKey())
	}
	// Output: trigger disk {"host":"web001"} critical true
}

// Errors page as critical. Warnings, missing data and what is muted in Guance page nobody.
func ExampleOptions() {
	client := newExampleClient(nil)
	sink := pagerdutysink.New(client, &pagerdutysink.Options{
		Severities: map[guance.Level]pagerduty.Severity{
			guance.LevelError:  pagerduty.SeverityCritical,
			guance.LevelNoData: pagerdutysink.Ignored,
		},
		MinLevel:    guance.LevelError,
		IgnoreMuted: true,
	})
	p := guancetest.NewProblem("disk", "host", "web001")
	for _, event := range []*guance.Event{
		p.Fault(guance.LevelWarning), p.NoData(), p.Fault(guance.LevelError), p.Recover(),
	} {
		fmt.Printf("%s: %q\n", event.Status, sink.Ignores(event))
	}
	p.Edit = func(e *guance.Event) { e.IsSilent = true }
	for _, event := range []*guance.Event{p.Fault(guance.LevelError), p.Recover()} {
		fmt.Printf("muted %s: %q\n", event.Status, sink.Ignores(event))
	}
	// Output:
	// warning: "the level warning is below Options.MinLevel, error"
	// nodata: "Options.Severities ignores the level nodata"
	// error: ""
	// ok: ""
	// muted error: "it is muted in Guance: Options.IgnoreMuted ignores it"
	// muted ok: ""
}

// The owner of a host comes from another system. If that does not answer, the alert is sent without
// the owner.
func ExampleOptions_enrich() {
	owners := map[string]string{"web001": "payments"} // instead of a request to a CMDB
	fake := pagerdutytest.NewServer()                 // instead of PagerDuty
	defer fake.Close()
	sink := pagerdutysink.New(newExampleClient(fake), &pagerdutysink.Options{
		Enrich: func(ctx context.Context, e *guance.Event, alert *pagerduty.Event) error {
			owner, ok := owners[e.DimensionTags["host"]]
			if !ok {
				return fmt.Errorf("no owner of host %q", e.DimensionTags["host"])
			}
			alert.Details["owner"] = owner
			return nil
		},
		Logger: slog.New(slog.DiscardHandler),
	})
	for _, host := range []string{"web001", "web002"} {
		event := guancetest.NewProblem("disk", "host", host).Fault(guance.LevelCritical)
		delivery := &relay.Delivery{Event: event, Problem: event.ProblemKey()} // a lane makes it
		if err := sink.Deliver(context.Background(), delivery); err != nil {
			fmt.Println(err)
		}
	}
	for _, incident := range fake.Open() {
		fmt.Println(incident.Source, incident.Details["owner"], incident.Details["enrichment"])
	}
	// Output:
	// web001 payments <nil>
	// web002 <nil> missing, as the look-up failed; the log of the relay says why
}

func newExampleClient(fake *pagerdutytest.Server) *pagerduty.Client {
	key, err := pagerduty.ParseRoutingKey("e93facc04764012d7bfb002500d5d1a6")
	if err != nil {
		panic(err)
	}
	opts := &pagerduty.Options{}
	if fake != nil {
		opts.BaseURL = fake.URL
	}
	client, err := pagerduty.NewClient(key, opts)
	if err != nil {
		panic(err)
	}
	return client
}
