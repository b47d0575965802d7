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

// Two services page their teams, and a chat has the rest. The problem goes to the chat as a
// warning, becomes critical and pages. Its recovery goes to both lanes, as both have the problem.
func ExampleSinkOptions_match() {
	r, err := relay.New(memstore.New(), quiet)
	if err != nil {
		panic(err)
	}
	payments, search, chat := relay.SinkFunc(nil), relay.SinkFunc(nil), relay.SinkFunc(nil)
	serious := relay.AtLeast(guance.LevelCritical)
	r.Handle("payments", payments, &relay.SinkOptions{
		Match: relay.All(relay.MatchTag("service", "payments"), serious),
	})
	r.Handle("search", search, &relay.SinkOptions{
		Match: relay.All(relay.MatchTag("service", "search"), serious),
	})
	r.Handle("chat", chat, &relay.SinkOptions{Fallback: true})

	latency := guancetest.NewProblem("latency", "service", "payments")
	for _, event := range []*guance.Event{
		latency.Fault(guance.LevelWarning), latency.Fault(guance.LevelCritical), latency.Recover(),
	} {
		receipts, err := r.Accept(context.Background(), event)
		if err != nil {
			panic(err)
		}
		fmt.Println(event.Status, receipts[0].Lanes)
	}
	// Output:
	// warning map[chat:accepted]
	// critical map[chat:sticky payments:accepted]
	// ok map[chat:accepted payments:sticky]
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
