package pagerdutysink_test

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/guance-relay/guance-relay/guance"
	"github.com/guance-relay/guance-relay/guance/guancetest"
	"github.com/guance-relay/guance-relay/pagerduty"
	"github.com/guance-relay/guance-relay/pagerduty/pagerdutytest"
	"github.com/guance-relay/guance-relay/relay/pagerdutysink"
)

// A recovery of both phases of a monitor is delivered when both resolves are.
func TestBothResolvesAreDelivered(t *testing.T) {
	for name, fails := range map[string]func(fault, missing string) string{
		"the first fails":  func(fault, _ string) string { return fault },
		"the second fails": func(_, missing string) string { return missing },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				fake := pagerdutytest.NewTransport()
				r, store := start(t, fake, &pagerdutysink.Options{Sibling: true})
				p := guancetest.NewProblem("heartbeat", "host", "web001")
				fault, missing := p.Fault(guance.LevelCritical), p.NoData()
				say(t, r, fault, missing)
				if open := fake.Open(); len(open) != 2 {
					t.Fatalf("%d incidents open, want the fault and the missing data", len(open))
				}
				bad := fails(fault.ProblemKey(), missing.ProblemKey())
				cure := fake.Poison(func(r pagerdutytest.Request) bool {
					return r.DedupKey == bad
				}, pagerdutytest.Fault{Status: 503})
				say(t, r, p.RecoverByHand())
				time.Sleep(10 * time.Minute)
				if in, _ := fake.Incident(bad); in.Status != pagerdutytest.Triggered {
					t.Fatalf("the incident is %s although its resolve fails", in.Status)
				}
				if n := len(store.Settled("pagerduty")); n != 2 {
					t.Errorf("%d events have ended, want the two triggers: a resolve is still to be sent", n)
				}
				cure()
				time.Sleep(time.Minute)
				if open := fake.Open(); len(open) != 0 {
					t.Errorf("%d incidents stay open", len(open))
				}
			})
		})
	}
}

// refusal is PagerDuty's answer to an invalid event.
const refusal = `{"status":"invalid event","message":"Event object is invalid","errors":["'payload.source' is missing or blank"]}`

// The second resolve is always refused, so the entry is dead. The first one was sent.
func TestRefusedSiblingIsADeadLetter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fake := pagerdutytest.NewTransport()
		r, _ := start(t, fake, &pagerdutysink.Options{Sibling: true})
		p := guancetest.NewProblem("heartbeat", "host", "web001")
		fault, missing := p.Fault(guance.LevelCritical), p.NoData()
		say(t, r, fault, missing)
		fake.Poison(func(r pagerdutytest.Request) bool {
			return r.DedupKey == missing.ProblemKey() && r.Action == "resolve"
		},
			pagerdutytest.Fault{Status: 400, Body: refusal})
		say(t, r, p.RecoverByHand())
		dead, err := r.DeadLetters(t.Context(), "pagerduty", 0, 10)
		if err != nil || len(dead) != 1 || dead[0].State != guance.StateRecovered {
			t.Errorf("dead letters %+v, %v; want the recovery", dead, err)
		}
		if open := fake.Open(); len(open) != 1 || open[0].DedupKey != missing.ProblemKey() {
			t.Errorf("open: %+v, want the missing data alone", open)
		}
	})
}

func decodeOne(t *testing.T, body string) *guance.Event {
	t.Helper()
	events, err := guance.Decode([]byte(body), "")
	if err != nil || len(events) != 1 {
		t.Fatalf("Decode: %d events, %v", len(events), err)
	}
	return events[0]
}

// With Changes, each change and audit event is sent as a change event. Without it, most are
// ignored.
func TestChangesOfEveryStatus(t *testing.T) {
	everything := &pagerdutysink.Options{Changes: true,
		Map: func(*guance.Event, *pagerduty.Event) bool {
			return false
		}}
	tests := map[string]struct{ body, without string }{
		"a change without a status": {`{"df_source":"change","df_event_id":"event-1","df_title":"scaled"}`, "ignored"},
		"a change of level info":    {`{"df_source":"change","df_event_id":"event-1","df_title":"scaled","df_status":"info"}`, "ignored"},
		"a change of level error":   {`{"df_source":"change","df_event_id":"event-1","df_title":"scaled","df_status":"error"}`, "alert"},
		"an audit record":           {`{"df_source":"audit","df_event_id":"event-1","df_title":"scaled","df_status":"info"}`, "ignored"},
		"a system record":           {`{"df_source":"system","df_event_id":"event-1","df_title":"scaled"}`, "ignored"},
	}
	for name, test := range tests {
		for _, opts := range []*pagerdutysink.Options{everything, {Changes: true}, nil} {
			t.Run(name, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					fake := pagerdutytest.NewTransport()
					r, _ := start(t, fake, opts)
					say(t, r, decodeOne(t, test.body))
					want := test.without
					if opts != nil {
						want = "change"
					}
					got := "ignored"
					switch changes, incidents := len(fake.Changes()), len(fake.Incidents()); {
					case changes == 1 && incidents == 0:
						got = "change"
					case changes == 0 && incidents == 1:
						got = "alert"
					case changes+incidents > 0:
						got = "several"
					}
					if got != want {
						t.Errorf("with %+v: got %s, want %s", opts, got, want)
					}
				})
			})
		}
	}
}

// A change event that fails is tried again. One that is refused is dead.
func TestChangesAreTriedAgain(t *testing.T) {
	for name, test := range map[string]struct {
		status        int
		body          string
		changes, dead int
	}{
		"503 for a while": {503, "", 1, 0},
		"400 for ever":    {400, refusal, 0, 1},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				fake := pagerdutytest.NewTransport()
				r, _ := start(t, fake, &pagerdutysink.Options{Changes: true})
				fake.Outage(5*time.Minute, pagerdutytest.Fault{Status: test.status, Body: test.body})
				say(t, r, decodeOne(t, `{"df_source":"change","df_event_id":"event-1","df_title":"scaled"}`))
				time.Sleep(10 * time.Minute)
				dead, err := r.DeadLetters(t.Context(), "pagerduty", 0, 10)
				if changes := len(fake.Changes()); changes != test.changes ||
					len(dead) != test.dead || err != nil {
					t.Errorf("%d change events and %d dead letters, %v; want %d and %d", changes, len(dead), err,
						test.changes, test.dead)
				}
			})
		})
	}
}

// A change event has the fields of the alert.
func TestChangeHoldsWhatTheAlertDoes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fake := pagerdutytest.NewTransport()
		r, _ := start(t, fake, &pagerdutysink.Options{Changes: true})
		say(t, r, decodeOne(t, `{"df_source":"change","df_event_id":"event-1","df_title":"scaled","df_message":"from 2 to 3","date":1767268800,
			"df_dimension_tags":"{\"host\":\"web001\"}","df_event_link":"https://console.example/e"}`))
		reqs := fake.Requests()
		if len(reqs) != 1 {
			t.Fatalf("%d requests, want one", len(reqs))
		}
		for _, want := range []string{`"summary":"scaled"`, `"source":"web001"`,
			`"description":"from 2 to 3"`, `2026-01-01T12:00:00`, `"href":"https://console.example/e"`} {
			if !strings.Contains(string(reqs[0].Body), want) {
				t.Errorf("the change event does not hold %s: %s", want, reqs[0].Body)
			}
		}
	})
}
