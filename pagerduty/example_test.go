package pagerduty_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/guance-relay/guance-relay/pagerduty"
	"github.com/guance-relay/guance-relay/pagerduty/pagerdutytest"
)

func Example() {
	server := pagerdutytest.NewServer() // takes PagerDuty's place
	defer server.Close()

	key, err := pagerduty.ParseRoutingKey("e93facc04764012d7bfb002500d5d1a6")
	if err != nil {
		fmt.Println(err)
		return
	}
	client, err := pagerduty.NewClient(key, &pagerduty.Options{BaseURL: server.URL})
	if err != nil {
		fmt.Println(err)
		return
	}
	result, err := client.Send(context.Background(), &pagerduty.Event{
		Action:   pagerduty.ActionTrigger,
		DedupKey: "db-1/disk",
		Summary:  "disk full on db-1 " + strings.Repeat("!", 2000),
		Source:   "db-1.example.com",
		Severity: "fatal",
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(result.DedupKey, result.Confirmed)
	for _, repair := range result.Repairs {
		fmt.Println(repair)
	}
	// Output:
	// db-1/disk true
	// payload.summary: cut from 2018 to 1024 characters
	// payload.severity: "fatal" sent as critical
}

// A queue decides by the error when to send again.
func ExampleError() {
	fake := pagerdutytest.NewTransport()
	fake.Script(pagerdutytest.Fault{Status: 429, RetryAfter: "45"})
	key, err := pagerduty.ParseRoutingKey("e93facc04764012d7bfb002500d5d1a6")
	if err != nil {
		fmt.Println(err)
		return
	}
	client, err := pagerduty.NewClient(key, &pagerduty.Options{Transport: fake})
	if err != nil {
		fmt.Println(err)
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	_, err = client.Send(ctx, &pagerduty.Event{Action: pagerduty.ActionResolve, DedupKey: "db-1/disk"})
	if e, ok := errors.AsType[*pagerduty.Error](err); ok {
		switch {
		case e.Permanent():
			fmt.Println("give it up:", e)
		case e.RetryAfter() > 0:
			fmt.Println("send nothing under this key for", e.RetryAfter())
		default:
			fmt.Println("send it again later:", e)
		}
	}
	// Output:
	// send nothing under this key for 45s
}

// A limiter of the caller's counts each request, retries included.
func ExampleClient_WithLimiter() {
	fake := pagerdutytest.NewTransport()
	fake.Script(pagerdutytest.Fault{Status: 503}) // the second request is accepted
	key, err := pagerduty.ParseRoutingKey("e93facc04764012d7bfb002500d5d1a6")
	if err != nil {
		fmt.Println(err)
		return
	}
	client, err := pagerduty.NewClient(key, &pagerduty.Options{Transport: fake})
	if err != nil {
		fmt.Println(err)
		return
	}
	spent := new(budget)
	_, err = client.WithLimiter(spent).Send(context.Background(),
		&pagerduty.Event{Action: pagerduty.ActionResolve, DedupKey: "db-1/disk"})
	fmt.Println(*spent, "requests,", err)
	// Output:
	// 2 requests, <nil>
}

type budget int

func (b *budget) Wait(context.Context) error {
	*b++
	return nil
}
