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
