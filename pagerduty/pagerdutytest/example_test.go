package pagerdutytest_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"time"

	"github.com/guance-relay/guance-relay/pagerduty/pagerdutytest"
)

// page is the program under test, which has a client of its own.
func page(client *http.Client, baseURL, event string) string {
	resp, err := client.Post(baseURL+"/v2/enqueue", "application/json", strings.NewReader(event))
	if err != nil {
		return "no answer"
	}
	answer, err := io.ReadAll(resp.Body)
	if errors.Join(err, resp.Body.Close()) != nil {
		return "half an answer"
	}
	return strings.TrimSpace(fmt.Sprintf("%d %s", resp.StatusCode, answer))
}

const (
	diskFull = `{"routing_key":"e93facc04764012d7bfb002500d5d1a6","event_action":"trigger",` +
		`"dedup_key":"db-1/disk",
		"payload":{"summary":"Disk full on db-1","source":"db-1","severity":"critical"}}`
	diskFine = `{"routing_key":"e93facc04764012d7bfb002500d5d1a6","event_action":"resolve",` +
		`"dedup_key":"db-1/disk"}`
)

// A Server takes the place of https://events.pagerduty.com.
func ExampleNewServer() {
	server := pagerdutytest.NewServer()
	defer server.Close()

	fmt.Println(page(http.DefaultClient, server.URL, diskFull))
	refused := page(http.DefaultClient, server.URL, strings.Replace(diskFull, "critical", "high", 1))
	fmt.Printf("%.66s...\n", refused)

	incident, _ := server.Incident("db-1/disk")
	fmt.Println(incident.Status, incident.Severity, incident.Summary)
	// Output:
	// 202 {"status":"success","message":"Event processed","dedup_key":"db-1/disk"}
	// 400 {"status":"invalid event","message":"Event object is invalid",...
	// triggered critical Disk full on db-1
}

// A Transport needs no network and answers for every host.
func ExampleNewTransport() {
	fake := pagerdutytest.NewTransport()
	client := &http.Client{Transport: fake}

	page(client, "https://events.eu.pagerduty.com", diskFull)

	request := fake.Requests()[0]
	fmt.Println(request.Host, request.Action, request.DedupKey, request.Key, request.Status)
	// Output:
	// events.eu.pagerduty.com trigger db-1/disk key-47746dbf 202
}

// Each request takes one fault from the script. When the script is empty, the fake works normally.
func ExampleFake_Script() {
	fake := pagerdutytest.NewTransport()
	client := &http.Client{Transport: fake}
	fake.Script(
		pagerdutytest.Fault{Status: 502, Body: "<html>Bad Gateway</html>", ContentType: "text/html"},
		pagerdutytest.Fault{Status: 429, RetryAfter: "30", NoBody: true},
		// accepted, and the answer is lost
		pagerdutytest.Fault{Connection: pagerdutytest.DropAfterRead, Ingest: true},
		pagerdutytest.Fault{Connection: pagerdutytest.CutAnswer},
	)
	for range 5 {
		fmt.Println(page(client, "https://events.pagerduty.com", diskFull))
	}
	incident, _ := fake.Incident("db-1/disk")
	fmt.Println(len(fake.Incidents()), "incident,", len(incident.Log), "entries in its log,",
		fake.Notifications(), "notification")
	// Output:
	// 502 <html>Bad Gateway</html>
	// 429
	// no answer
	// half an answer
	// 202 {"status":"success","message":"Event processed","dedup_key":"db-1/disk"}
	// 1 incident, 3 entries in its log, 1 notification
}

// A poisoned event always fails, while other events pass.
func ExampleFake_Poison() {
	fake := pagerdutytest.NewTransport()
	client := &http.Client{Transport: fake}
	stop := fake.Poison(
		func(r pagerdutytest.Request) bool { return r.DedupKey == "db-1/disk" },
		pagerdutytest.Fault{Status: 500, NoBody: true},
	)
	fmt.Println(page(client, "https://events.pagerduty.com", diskFull))
	fmt.Println(page(client, "https://events.pagerduty.com",
		strings.Replace(diskFull, "db-1/disk", "db-1/memory", 1)))
	stop()
	fmt.Println(page(client, "https://events.pagerduty.com", diskFull))
	// Output:
	// 500
	// 202 {"status":"success","message":"Event processed","dedup_key":"db-1/memory"}
	// 202 {"status":"success","message":"Event processed","dedup_key":"db-1/disk"}
}

// The fake answers a test's usual questions about incidents.
func ExampleFake() {
	fake := pagerdutytest.NewTransport()
	client := &http.Client{Transport: fake}
	for _, event := range []string{diskFull, diskFull, diskFine, diskFull} {
		page(client, "https://events.pagerduty.com", event)
	}

	fmt.Println("open:", len(fake.Open()))
	for _, incident := range fake.IncidentsOf("db-1/disk") {
		fmt.Println(incident.Status, "after", len(incident.Log), "events")
	}
	fmt.Println("notifications:", fake.Notifications())
	fmt.Println("most requests in a minute:", fake.MaxPerWindow())
	// Output:
	// open: 1
	// resolved after 3 events
	// triggered after 1 events
	// notifications: 2
	// most requests in a minute: 4
}

// Wait does not poll: every change of the fake wakes it.
func ExampleFake_Wait() {
	server := pagerdutytest.NewServer()
	defer server.Close()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()

	go func() { // the program under test
		page(http.DefaultClient, server.URL, diskFull)
		page(http.DefaultClient, server.URL, diskFine)
	}()
	if err := server.WaitResolved(ctx, "db-1/disk"); err != nil {
		fmt.Println(err)
	}
	err := server.Wait(ctx,
		func() bool { return len(server.Requests()) == 2 && len(server.Open()) == 0 })
	fmt.Println(err)
	// Output: <nil>
}

// Only listed routing keys are accepted. PagerDuty answers others in plain text.
func ExampleFake_AcceptKeys() {
	fake := pagerdutytest.NewTransport()
	fake.AcceptKeys("R028DIE06SNKNO6V5ACSLRV7Y0TUVG7T")
	client := &http.Client{Transport: fake}

	fmt.Println(page(client, "https://events.pagerduty.com", diskFull))
	// Output:
	// 400 Invalid routing key
}

// The second of two requests in a minute exceeds a limit of one.
func ExampleFake_SetRateLimit() {
	fake := pagerdutytest.NewTransport()
	fake.SetRateLimit(1)
	client := &http.Client{Transport: fake}

	for range 2 {
		_ = page(client, "https://events.pagerduty.com", diskFull)
		fmt.Println(fake.Requests()[len(fake.Requests())-1].Status)
	}
	// Output:
	// 202
	// 429
}

// OnStep reports changes of incidents as they happen, here for a demonstration.
func ExampleFake_OnStep() {
	fake := pagerdutytest.NewTransport()
	client := &http.Client{Transport: fake}
	fake.OnStep(func(s pagerdutytest.Step) {
		fmt.Println(s.Action, s.Repeated, s.Incident.DedupKey, s.Incident.Status)
	})
	for _, event := range []string{diskFull, diskFull, diskFine} {
		page(client, "https://events.pagerduty.com", event)
	}
	// Output:
	// trigger false db-1/disk triggered
	// trigger true db-1/disk triggered
	// resolve false db-1/disk resolved
}

// A Fake can be mounted in any HTTP server.
func ExampleFake_ServeHTTP() {
	fake := pagerdutytest.New()
	fake.SetRateLimit(10_000) // PagerDuty allows some accounts more
	mux := http.NewServeMux()
	mux.Handle("/pagerduty/", http.StripPrefix("/pagerduty", fake))
	server := httptest.NewServer(mux)
	defer server.Close()

	fmt.Println(page(server.Client(), server.URL+"/pagerduty", diskFine))
	fmt.Println("dropped:", fake.Requests()[0].Dropped) // it resolves nothing
	// Output:
	// 202 {"status":"success","message":"Event processed","dedup_key":"db-1/disk"}
	// dropped: true
}
