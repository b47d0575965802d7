package pagerduty_test

import (
	"strings"
	"testing"
	"testing/synctest"

	"github.com/guance-relay/guance-relay/pagerduty"
	"github.com/guance-relay/guance-relay/pagerduty/pagerdutytest"
)

const secret = "e93facc04764012d7bfb002500d5d1a6"

func routingKey(t testing.TB, s string) pagerduty.RoutingKey {
	t.Helper()
	key, err := pagerduty.ParseRoutingKey(s)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func newClient(t testing.TB, opts *pagerduty.Options) *pagerduty.Client {
	t.Helper()
	client, err := pagerduty.NewClient(routingKey(t, secret), opts)
	if err != nil {
		t.Fatal(err)
	}
	return client
}

// trigger is an event that needs no repair.
func trigger(dedupKey string) *pagerduty.Event {
	return &pagerduty.Event{
		Action:   pagerduty.ActionTrigger,
		DedupKey: dedupKey,
		Summary:  "disk full on db-1",
		Source:   "db-1",
		Severity: pagerduty.SeverityCritical,
	}
}

func resolve(dedupKey string) *pagerduty.Event {
	return &pagerduty.Event{Action: pagerduty.ActionResolve, DedupKey: dedupKey}
}

func TestSendOpensAndResolvesAnIncident(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fake := pagerdutytest.NewTransport()
		client := newClient(t, &pagerduty.Options{Transport: fake})
		result, err := client.Send(t.Context(), trigger("disk-1"))
		if err != nil {
			t.Fatal(err)
		}
		if !result.Confirmed || result.DedupKey != "disk-1" || result.Attempts != 1 || len(result.Repairs) != 0 {
			t.Errorf("result = %+v", result)
		}
		if open := fake.Open(); len(open) != 1 || open[0].Summary != "disk full on db-1" {
			t.Errorf("open = %+v", open)
		}
		if _, err := client.Send(t.Context(), resolve("disk-1")); err != nil {
			t.Fatal(err)
		}
		if open := fake.Open(); len(open) != 0 {
			t.Errorf("after the resolve, open = %+v", open)
		}
	})
}

func TestSendOverLoopback(t *testing.T) {
	server := pagerdutytest.NewServer()
	defer server.Close()
	client := newClient(t, &pagerduty.Options{BaseURL: server.URL})
	if _, err := client.Send(t.Context(), trigger("disk-1")); err != nil {
		t.Fatal(err)
	}
	request := server.Requests()[0]
	if strings.Contains(string(request.Body), secret) || !strings.Contains(string(request.Body), pagerdutytest.KeyLabel(secret)) {
		t.Errorf("logged body = %s", request.Body)
	}
}
