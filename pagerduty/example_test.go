package pagerduty_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
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

// A change event records a deployment. It opens no incident.
func ExampleClient_SendChange() {
	fake := pagerdutytest.NewTransport()
	client := exampleClient(fake)
	result, err := client.SendChange(context.Background(), &pagerduty.ChangeEvent{
		Summary: "payments v42 deployed", Source: "ci",
		Links: []pagerduty.Link{{Href: "https://ci.example.com/42", Text: "build 42"}},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(result.StatusCode, result.Message)
	fmt.Println(fake.Changes()[0].Summary)
	// Output:
	// 202 Change event processed
	// payments v42 deployed
}

// Two teams have two routing keys and share the connections of one client.
func ExampleClient_WithKey() {
	fake := pagerdutytest.NewTransport()
	payments := exampleClient(fake)
	key, err := pagerduty.ParseRoutingKey("R028DIE06SNKNO6V5ACSLRV7Y0TUVG7T")
	if err != nil {
		fmt.Println(err)
		return
	}
	search := payments.WithKey(key)
	for _, client := range []*pagerduty.Client{payments, search} {
		fmt.Println(client.Account())
	}
	// Output:
	// events.pagerduty.com 47746dbf
	// events.pagerduty.com 71c014d3
}

// The zero value of an option is its default. A negative number turns the feature off.
func ExampleOptions() {
	fake := pagerdutytest.NewTransport()
	key, err := pagerduty.ParseRoutingKey("e93facc04764012d7bfb002500d5d1a6")
	if err != nil {
		fmt.Println(err)
		return
	}
	client, err := pagerduty.NewClient(key, &pagerduty.Options{
		Region:          pagerduty.RegionEU,
		Transport:       fake,
		Retries:         -1, // no quick retries
		ThrottleRetries: 3,  // wait after a 429: this program has no queue
		DefaultSource:   "backup.example.com",
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	_, err = client.Send(context.Background(), &pagerduty.Event{
		Action: pagerduty.ActionTrigger, DedupKey: "backup", Summary: "backup failed",
	})
	incident, _ := fake.Incident("backup")
	fmt.Println(fake.Requests()[0].Host, incident.Source, err)
	// Output:
	// events.eu.pagerduty.com backup.example.com <nil>
}

// Different parts give different keys, and a blank part is an error.
func ExampleDedupKey() {
	fmt.Println(pagerduty.DedupKey("prod", "db-1", "disk"))
	fmt.Println(pagerduty.DedupKey("prod/db-1", "disk"))
	_, err := pagerduty.DedupKey("prod", "")
	fmt.Println(err != nil)
	// Output:
	// prod/db-1/disk <nil>
	// prod\/db-1/disk <nil>
	// true
}

// A routing key prints as a fingerprint.
func ExampleRoutingKey() {
	key, err := pagerduty.ParseRoutingKey(" e93facc04764012d7bfb002500d5d1a6\n")
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Printf("%v %+v %x\n", key, key, key)
	// Output:
	// RoutingKey(47746dbf) RoutingKey(47746dbf) RoutingKey(47746dbf)
}

// A key file is read again for every event, so a new key needs no restart.
func ExampleOpenKeyFile() {
	dir, err := os.MkdirTemp("", "keys")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer func() { _ = os.RemoveAll(dir) }()
	path := filepath.Join(dir, "routing-key")
	write := func(key string) {
		if err := os.WriteFile(path, []byte("# team payments\n"+key+"\n"), 0o600); err != nil {
			fmt.Println(err)
		}
	}
	write("e93facc04764012d7bfb002500d5d1a6")
	file, err := pagerduty.OpenKeyFile(path)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(file.Key())
	write("R028DIE06SNKNO6V5ACSLRV7Y0TUVG7T")
	fmt.Println(file.Key())
	// Output:
	// RoutingKey(47746dbf) <nil>
	// RoutingKey(71c014d3) <nil>
}

func ExampleParseSeverity() {
	for _, word := range []string{"P1", "high", "Warn", "notice", "urgent"} {
		fmt.Println(pagerduty.ParseSeverity(word))
	}
	// Output:
	// critical true
	// error true
	// warning true
	// info true
	//  false
}

func exampleClient(transport http.RoundTripper) *pagerduty.Client {
	key, err := pagerduty.ParseRoutingKey("e93facc04764012d7bfb002500d5d1a6")
	if err != nil {
		panic(err)
	}
	client, err := pagerduty.NewClient(key, &pagerduty.Options{Transport: transport})
	if err != nil {
		panic(err)
	}
	return client
}
