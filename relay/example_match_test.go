package relay_test

import (
	"fmt"

	"github.com/guance-relay/guance-relay/guance"
	"github.com/guance-relay/guance-relay/relay"
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

func ExampleMatchTag() {
	lane := &relay.SinkOptions{Match: relay.MatchTag("service", "payments")}
	fmt.Println(lane.Match(&guance.Event{DimensionTags: map[string]string{"service": "payments"}}))
	fmt.Println(lane.Match(&guance.Event{DimensionTags: map[string]string{"service": "search"}}))
	// Output:
	// true
	// false
}

// A recovery says no level and is always taken.
func ExampleAtLeast() {
	match := relay.AtLeast(guance.LevelCritical)
	for _, s := range []guance.Status{guance.StatusWarning, guance.StatusCritical, guance.StatusOK} {
		fmt.Println(s, match(&guance.Event{Status: s}))
	}
	// Output:
	// warning false
	// critical true
	// ok true
}
