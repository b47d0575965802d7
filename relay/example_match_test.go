package relay_test

import (
	"context"
	"fmt"

	"github.com/guance-relay/guance-relay/guance"
	"github.com/guance-relay/guance-relay/guance/guancetest"
	"github.com/guance-relay/guance-relay/relay"
	"github.com/guance-relay/guance-relay/relay/memstore"
)

// Two services have a lane each, and a chat has what is bad elsewhere.
func ExampleAll() {
	payments := relay.MatchTag("service", "payments")
	search := relay.MatchTag("service", "search", "suggest")
	chat := relay.All(relay.AtLeast(guance.LevelError), relay.Not(relay.Any(payments, search)))

	e := &guance.Event{
		Status:        guance.StatusCritical,
		DimensionTags: map[string]string{"service": "mail", "host": "web001"},
	}
	fmt.Println(payments(e), search(e), chat(e))
	// Output: false false true
}

// A chat has what no other lane takes.
func ExampleSinkOptions_fallback() {
	r, err := relay.New(memstore.New(), quiet)
	if err != nil {
		panic(err)
	}
	payments := &relay.SinkOptions{Match: relay.MatchTag("service", "payments")}
	r.Handle("payments", relay.SinkFunc(nil), payments)
	r.Handle("chat", relay.SinkFunc(nil), &relay.SinkOptions{Fallback: true})

	for _, service := range []string{"payments", "search"} {
		event := guancetest.NewProblem("latency", "service", service).Fault(guance.LevelError)
		receipts, err := r.Accept(context.Background(), event)
		if err != nil {
			panic(err)
		}
		fmt.Println(service, receipts[0].Lanes)
	}
	// Output:
	// payments map[payments:accepted]
	// search map[chat:accepted]
}

func ExampleMatchTag() {
	lane := &relay.SinkOptions{Match: relay.MatchTag("service", "payments")}
	fmt.Println(lane.Match(&guance.Event{DimensionTags: map[string]string{"service": "payments"}}))
	fmt.Println(lane.Match(&guance.Event{DimensionTags: map[string]string{"service": "search"}}))
	// Output:
	// true
	// false
}

// A recovery says no level. It goes to the lanes that have the problem, whatever Match says.
func ExampleAtLeast() {
	match := relay.AtLeast(guance.LevelCritical)
	for _, s := range []guance.Status{guance.StatusWarning, guance.StatusCritical, guance.StatusOK} {
		fmt.Println(s, match(&guance.Event{Status: s}))
	}
	// Output:
	// warning false
	// critical true
	// ok false
}
