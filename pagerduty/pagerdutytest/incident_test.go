package pagerdutytest_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/guance-relay/guance-relay/pagerduty/pagerdutytest"
)

// The numbers are those of docs/pagerduty-facts.md; 40 to 45 are about incidents and the rate
// limit.

func TestFact40TriggerAfterResolveOpensAnotherIncident(t *testing.T) {
	fake := pagerdutytest.NewTransport()
	send(t, fake, trigger(key1, "a"), resolve(key1, "a"), trigger(key1, "a"))
	all := fake.IncidentsOf("a")
	if len(all) != 2 || all[0].Status != pagerdutytest.Resolved ||
		all[1].Status != pagerdutytest.Triggered || all[0].ID == all[1].ID {
		t.Errorf("incidents = %+v", all)
	}
	if newest, ok := fake.Incident("a"); !ok || newest.ID != all[1].ID {
		t.Errorf("newest = %+v", newest)
	}
	if len(all[0].Log) != 2 || len(all[1].Log) != 1 || fake.Notifications() != 2 {
		t.Errorf("logs of %d and %d entries, %d notifications", len(all[0].Log), len(all[1].Log),
			fake.Notifications())
	}
}

func TestFact41ResolveOfAnUnknownAlertIsDropped(t *testing.T) {
	fake := pagerdutytest.NewTransport()
	answer := post(t, fake, alertURL, resolve(key1, "b").String())
	if answer.status != 202 || answer.dedupKey(t) != "b" || len(fake.Incidents()) != 0 {
		t.Fatalf("%d %s, incidents %+v", answer.status, answer.body, fake.Incidents())
	}
	// so a trigger after its resolve stays open
	send(t, fake, action(key1, "b", "acknowledge"), trigger(key1, "b"))
	if open := fake.Open(); len(open) != 1 || open[0].Status != pagerdutytest.Triggered ||
		len(open[0].Log) != 1 {
		t.Errorf("open = %+v", open)
	}
	send(t, fake, resolve(key1, "b"), resolve(key1, "b"), action(key1, "b", "acknowledge"))
	var dropped []bool
	for _, r := range fake.Requests() {
		dropped = append(dropped, r.Dropped)
	}
	if diff := cmp.Diff([]bool{true, true, false, false, true, true}, dropped); diff != "" {
		t.Errorf("dropped (-want +got)\n%s", diff)
	}
}

func TestFact42KeysDoNotKnowEachOther(t *testing.T) {
	fake := pagerdutytest.NewTransport()
	send(t, fake, trigger(key1, "c"), resolve(key2, "c"), action(key2, "c", "acknowledge"))
	open := fake.Open()
	if len(open) != 1 || open[0].Status != pagerdutytest.Triggered ||
		open[0].Key != pagerdutytest.KeyLabel(key1) {
		t.Errorf("open = %+v", open)
	}
	send(t, fake, trigger(key2, "c"), resolve(key1, "c"))
	open = fake.Open()
	if len(open) != 1 || open[0].Key != pagerdutytest.KeyLabel(key2) ||
		len(fake.IncidentsOf("c")) != 2 {
		t.Errorf("open = %+v", open)
	}
}

func TestFact43RepeatedTriggersMerge(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fake := pagerdutytest.NewTransport()
		start := time.Now()
		for _, summary := range []string{"90 %", "95 %", "99 %"} {
			send(t, fake, trigger(key1, "d").payload("summary", summary))
			time.Sleep(time.Minute)
		}
		send(t, fake, action(key1, "d", "acknowledge"))
		time.Sleep(time.Minute)
		send(t, fake, trigger(key1, "d").payload("summary", "full"), action(key1, "d", "acknowledge"))
		all := fake.Incidents()
		if len(all) != 1 {
			t.Fatalf("incidents = %+v", all)
		}
		at := func(minute time.Duration) time.Time { return start.Add(minute * time.Minute) }
		want := pagerdutytest.Incident{
			ID: all[0].ID, Key: pagerdutytest.KeyLabel(key1), DedupKey: "d",
			Status: pagerdutytest.Acknowledged,
			Alert:  pagerdutytest.Alert{Summary: "full", Source: "db-1", Severity: "critical"},
			Opened: at(0), Acknowledged: at(3), Notifications: 1,
			Log: []pagerdutytest.LogEntry{
				{Time: at(0), Action: "trigger", Summary: "90 %"},
				{Time: at(1), Action: "trigger", Summary: "95 %"},
				{Time: at(2), Action: "trigger", Summary: "99 %"},
				{Time: at(3), Action: "acknowledge"},
				{Time: at(4), Action: "trigger", Summary: "full"},
				{Time: at(4), Action: "acknowledge"},
			},
		}
		if diff := cmp.Diff(want, all[0]); diff != "" {
			t.Errorf("(-want +got)\n%s", diff)
		}
		time.Sleep(time.Minute)
		send(t, fake, resolve(key1, "d"))
		if i, _ := fake.Incident("d"); i.Status != pagerdutytest.Resolved || !i.Resolved.Equal(at(5)) ||
			len(fake.Open()) != 0 {
			t.Errorf("incident = %+v", i)
		}
	})
}

func TestFact44TriggersWithoutADedupKeyAreAllNew(t *testing.T) {
	fake := pagerdutytest.NewTransport()
	event := trigger(key1, "").with("dedup_key", missing).String()
	first, second := post(t, fake, alertURL, event), post(t, fake, alertURL, event)
	k1, k2 := first.dedupKey(t), second.dedupKey(t)
	if k1 == "" || k2 == "" || k1 == k2 || len(fake.Open()) != 2 {
		t.Fatalf("keys %q and %q, open %+v", k1, k2, fake.Open())
	}
	send(t, fake, resolve(key1, k1)) // the returned key names the incident
	if open := fake.Open(); len(open) != 1 || open[0].DedupKey != k2 {
		t.Errorf("open = %+v", open)
	}
}

// The answer has the dedup key as it was sent, without escapes for HTML.
func TestAnswerHasTheDedupKey(t *testing.T) {
	fake := pagerdutytest.NewTransport()
	for dedupKey, want := range map[string]string{`<a>&"b"`: `"<a>&\"b\""`, "磁盘🔥": `"磁盘🔥"`} {
		got := post(t, fake, alertURL, trigger(key1, dedupKey).String())
		if got.body != `{"status":"success","message":"Event processed","dedup_key":`+want+`}` {
			t.Errorf("%s", got.body)
		}
	}
}

// An incident shows the content of the newest trigger only: PagerDuty replaces the older one.
func TestIncidentShowsTheNewestTrigger(t *testing.T) {
	fake := pagerdutytest.NewTransport()
	full := trigger(key1, "a").payload("timestamp", "2015-07-17T08:42:58.315+0000").
		payload("component", "mysql").payload("group", "prod").payload("class", "disk").
		payload("custom_details", object{"free": "1%", "load": []any{0.75, nil, object{"n": 1}}}).
		with("client", "Monitoring").with("client_url", "https://m.example").
		with("links", []any{object{"href": "https://l.example", "text": "l"}}).
		with("images", []any{object{"src": "https://i.example", "href": "https://h.example", "alt": "i"}})
	send(t, fake, full)
	want := pagerdutytest.Alert{
		Summary: "disk full", Source: "db-1", Severity: "critical",
		Timestamp: "2015-07-17T08:42:58.315+0000",
		Component: "mysql", Group: "prod", Class: "disk",
		Details: map[string]any{"free": "1%", "load": []any{0.75, nil, map[string]any{"n": 1.0}}},
		Client:  "Monitoring", ClientURL: "https://m.example",
		Links:  []pagerdutytest.Link{{Href: "https://l.example", Text: "l"}},
		Images: []pagerdutytest.Image{{Src: "https://i.example", Href: "https://h.example", Alt: "i"}},
	}
	got, _ := fake.Incident("a")
	if diff := cmp.Diff(want, got.Alert); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}

	// A caller gets copies.
	got.Details["load"].([]any)[2].(map[string]any)["n"] = 2
	got.Links[0].Href, got.Images[0].Alt, got.Log[0].Action = "", "", ""
	if again := fake.Open()[0]; !cmp.Equal(want, again.Alert) || again.Log[0].Action != "trigger" {
		t.Errorf("a caller changed it: %+v", again)
	}

	send(t, fake, trigger(key1, "a").payload("severity", "info"),
		full.payload("summary", "over").with("event_action", "resolve"))
	want = pagerdutytest.Alert{Summary: "disk full", Source: "db-1", Severity: "info"}
	got, _ = fake.Incident("a")
	if diff := cmp.Diff(want, got.Alert); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
	if last := got.Log[2]; last.Action != "resolve" || last.Summary != "over" {
		t.Errorf("last entry = %+v", last)
	}
}

func TestReset(t *testing.T) {
	fake := pagerdutytest.NewTransport()
	fake.SetRateLimit(3)
	fake.AcceptKeys(key1)
	steps := 0
	fake.OnStep(func(pagerdutytest.Step) { steps++ })
	send(t, fake, trigger(key1, "a"), trigger(key1, "b"))
	post(t, fake, changeURL, change(key1).String())
	fake.Outage(time.Hour, pagerdutytest.Fault{Status: 500})
	fake.Script(pagerdutytest.Fault{Status: 500})
	fake.Reset()
	left := len(fake.Incidents()) + len(fake.Changes()) + len(fake.Requests())
	if left+fake.MaxPerWindow()+fake.Notifications() != 0 {
		t.Error("something is left")
	}
	if got := post(t, fake, alertURL, trigger(key2, "a").String()); got.body != "Invalid routing key" {
		t.Errorf("the keys are forgotten: %d %s", got.status, got.body)
	}
	send(t, fake, trigger(key1, "a"), resolve(key1, "b"), resolve(key1, "a"))
	if got := post(t, fake, alertURL, trigger(key1, "a").String()); got.status != 429 {
		t.Errorf("the limit is forgotten: %d %s", got.status, got.body)
	}
	if steps != 4 {
		t.Errorf("%d steps told of; want 2 before and 2 after", steps)
	}
}
