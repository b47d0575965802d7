package pagerdutysink_test

import (
	"fmt"
	"maps"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/guance-relay/guance-relay/guance"
	"github.com/guance-relay/guance-relay/guance/guancetest"
	"github.com/guance-relay/guance-relay/pagerduty"
	"github.com/guance-relay/guance-relay/pagerduty/pagerdutytest"
	"github.com/guance-relay/guance-relay/relay"
	"github.com/guance-relay/guance-relay/relay/pagerdutysink"
	"github.com/guance-relay/guance-relay/relay/relaytest"
)

// Levels go up and down across the minimum. The incident keeps the last level that was sent.
func TestIgnoredLevelsChangeNothing(t *testing.T) {
	for name, opts := range map[string]*pagerdutysink.Options{
		"MinLevel": {MinLevel: guance.LevelError},
		"Severities": {Severities: map[guance.Level]pagerduty.Severity{
			guance.LevelWarning: pagerdutysink.Ignored,
		}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				fake := pagerdutytest.NewTransport()
				r, _ := start(t, fake, opts)
				p := guancetest.NewProblem("disk", "host", "web001")
				for i, step := range []struct {
					event *guance.Event
					shown string // the severity of the open incident
				}{
					{p.Fault(guance.LevelWarning), ""},
					{p.Fault(guance.LevelCritical), "critical"},
					{p.Fault(guance.LevelWarning), "critical"},
					{p.Fault(guance.LevelError), "error"},
					{p.Fault(guance.LevelWarning), "error"},
					{p.Recover(), ""},
				} {
					say(t, r, step.event)
					shown := ""
					for _, in := range fake.Open() {
						shown += in.Severity
					}
					if shown != step.shown {
						t.Errorf("step %d: PagerDuty shows %q, want %q", i, shown, step.shown)
					}
				}
				if n := len(fake.Requests()); n != 3 {
					t.Errorf("%d requests, want two triggers and a resolve", n)
				}
			})
		})
	}
}

// An event that is ignored does not take the place of one that waits.
func TestIgnoredEventsSupersedeNothing(t *testing.T) {
	for name, test := range map[string]struct {
		opts *pagerdutysink.Options
		then func(*guancetest.Problem) *guance.Event
	}{
		"below the minimum": {&pagerdutysink.Options{MinLevel: guance.LevelError},
			func(p *guancetest.Problem) *guance.Event { return p.Fault(guance.LevelWarning) }},
		"muted": {&pagerdutysink.Options{IgnoreMuted: true},
			func(p *guancetest.Problem) *guance.Event {
				p.Edit = func(e *guance.Event) { e.IsSilent = true }
				return p.Fault(guance.LevelWarning)
			}},
		"kept open": {&pagerdutysink.Options{KeepOpen: true}, (*guancetest.Problem).Recover},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				fake := pagerdutytest.NewTransport()
				fake.Outage(time.Minute, pagerdutytest.Fault{Status: 503})
				r, _ := start(t, fake, test.opts)
				p := guancetest.NewProblem("disk", "host", "web001")
				say(t, r, p.Fault(guance.LevelCritical))
				ignored := test.then(p)
				receipts, err := r.Accept(t.Context(), ignored)
				if err != nil || receipts[0].Lanes["pagerduty"] != "ignored" {
					t.Errorf("the receipt is %+v, %v; want it ignored", receipts, err)
				}
				time.Sleep(3 * time.Minute)
				if open := fake.Open(); len(open) != 1 || open[0].Severity != "critical" {
					t.Errorf("open: %+v, want the critical problem", open)
				}
			})
		})
	}
}

// A muted recovery ends a problem that was not muted when it began.
func TestMutedRecoveryResolves(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fake := pagerdutytest.NewTransport()
		r, _ := start(t, fake, &pagerdutysink.Options{IgnoreMuted: true})
		p := guancetest.NewProblem("disk", "host", "web001")
		say(t, r, p.Fault(guance.LevelCritical))
		p.Edit = func(e *guance.Event) { e.IsSilent = true }
		say(t, r, p.Recover())
		if open, all := fake.Open(), fake.Incidents(); len(open) != 0 || len(all) != 1 {
			t.Errorf("%d incidents, %d open; want one that is resolved", len(all), len(open))
		}
	})
}

// With KeepOpen an incident ends when a person closes it. A problem that then comes back is new.
func TestKeepOpen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fake := pagerdutytest.NewTransport()
		r, _ := start(t, fake, &pagerdutysink.Options{KeepOpen: true, Sibling: true})
		p := guancetest.NewProblem("disk", "host", "web001")
		fault := p.Fault(guance.LevelCritical)
		say(t, r, fault)
		say(t, r, p.RecoverByHand())
		say(t, r, p.Fault(guance.LevelCritical))
		if open := fake.Open(); len(open) != 1 || len(fake.Incidents()) != 1 {
			t.Errorf("open: %+v, want one incident with both faults", open)
		}
		history, err := r.Explain(t.Context(), fault.ProblemKey())
		if err != nil || !strings.Contains(fmt.Sprint(history), "KeepOpen") {
			t.Errorf("the history is %v, %v; want the reason", history, err)
		}
		// A person closes it, which PagerDuty does not tell the relay.
		if _, err := newClient(t, fake).Send(t.Context(), &pagerduty.Event{
			Action: pagerduty.ActionResolve, DedupKey: fault.ProblemKey(),
		}); err != nil {
			t.Fatal(err)
		}
		say(t, r, p.Recover())
		say(t, r, p.Fault(guance.LevelCritical))
		if open, all := fake.Open(), fake.Incidents(); len(open) != 1 || len(all) != 2 {
			t.Errorf("%d incidents, %d open; want a second one", len(all), len(open))
		}
	})
}

func TestNewPanicsOnOptions(t *testing.T) {
	severity := func(l guance.Level, s pagerduty.Severity) pagerdutysink.Options {
		return pagerdutysink.Options{Severities: map[guance.Level]pagerduty.Severity{l: s}}
	}
	for name, test := range map[string]struct {
		opts pagerdutysink.Options
		says string
	}{
		"a level above":    {severity(7, "critical"), "Level(7)"},
		"a level below":    {severity(-1, "critical"), "Level(-1)"},
		"a severity":       {severity(guance.LevelError, "loud"), `"loud" of level error`},
		"no severity":      {severity(guance.LevelError, ""), "pagerdutysink.Ignored"},
		"a minimum above":  {pagerdutysink.Options{MinLevel: 7}, "MinLevel Level(7)"},
		"a minimum below":  {pagerdutysink.Options{MinLevel: -1}, "MinLevel Level(-1)"},
		"nothing required": {pagerdutysink.Options{EnrichRequired: true}, "needs Options.Enrich"},
	} {
		t.Run(name, func(t *testing.T) {
			defer func() {
				if p := recover(); p == nil || !strings.Contains(fmt.Sprint(p), test.says) {
					t.Errorf("recovered %v, want a panic with %q", p, test.says)
				}
			}()
			pagerdutysink.New(&pagerduty.Client{}, &test.opts)
		})
	}
}

// The sink has a copy of the table.
func TestSeveritiesAreCopied(t *testing.T) {
	table := map[guance.Level]pagerduty.Severity{guance.LevelWarning: "error"}
	before := maps.Clone(table)
	sink := pagerdutysink.New(&pagerduty.Client{}, &pagerdutysink.Options{Severities: table})
	if !maps.Equal(table, before) {
		t.Errorf("New changed the table to %v", table)
	}
	table[guance.LevelWarning] = pagerdutysink.Ignored
	warning := guancetest.NewProblem("disk").Fault(guance.LevelWarning)
	if reason := sink.Ignores(warning); reason != "" {
		t.Errorf("the sink uses the caller's table: %s", reason)
	}
}

// The suite has recoveries delivered, so KeepOpen is not set.
func TestOptionsKeepTheContract(t *testing.T) {
	t.Parallel()
	reply := func(status int, body string) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			w.WriteHeader(status)
			_, _ = w.Write([]byte(body))
		})
	}
	relaytest.TestSink(t, func(t *testing.T, target *relaytest.Target) relay.Sink {
		k, err := pagerduty.ParseRoutingKey(key)
		if err != nil {
			t.Fatal(err)
		}
		client, err := pagerduty.NewClient(k, &pagerduty.Options{BaseURL: target.URL, Retries: -1})
		if err != nil {
			t.Fatal(err)
		}
		return pagerdutysink.New(client, &pagerdutysink.Options{
			MinLevel: guance.LevelError, IgnoreMuted: true, Enrich: addOwner,
			EnrichRequired: true,
			Severities:     map[guance.Level]pagerduty.Severity{guance.LevelFatal: "error"},
		})
	}, &relaytest.SuiteOptions{
		Takes: reply(http.StatusAccepted,
			`{"status":"success","message":"Event processed","dedup_key":"k"}`),
		Refuses: reply(http.StatusBadRequest, refusal), Confirms: true,
		Secrets: []string{key}, Patience: 20 * time.Second,
	})
}
