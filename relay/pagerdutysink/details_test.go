package pagerdutysink

import (
	"context"
	"errors"
	"log/slog"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/guance-relay/guance-relay/guance"
	"github.com/guance-relay/guance-relay/pagerduty"
	"github.com/guance-relay/guance-relay/relay"
)

// Every detail of an alert, by PagerDuty's name, and none for what is absent.
func TestEveryDetail(t *testing.T) {
	at := time.Unix(1_700_000_000, 0)
	full := &guance.Event{Result: "5", Message: "m", Date: at, Status: "error", SubStatus: "sub",
		EventID: "e", CheckerName: "monitor", CheckerID: "rul_1", MonitorName: "policy",
		CheckerValueWithUnit: "5 %", CheckerValue: "5", EventReason: "r", SiteName: "site", FaultID: "f",
		UserName: "ann", DimensionTags: map[string]string{"host": "h"}, Label: []string{"l"}}
	want := map[string]any{"result": full.Result, "description": "m", "date": at.Unix(),
		"status": "error", "sub_status": "sub", "event_id": "e", "monitor": "monitor",
		"monitor_id": "rul_1", "alert_policy": "policy", "value": "5 %", "reason": "r", "site": "site",
		"fault_id": "f", "recovered_by": "ann", "tags": map[string]string{"host": "h"},
		"labels": []string{"l"}}
	if diff := cmp.Diff(want, details(full)); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
	full.CheckerValueWithUnit = ""
	if got := details(full)["value"]; got != "5" {
		t.Errorf("the value is %v", got)
	}
	bare := &guance.Event{}
	if diff := cmp.Diff(map[string]any{"result": bare.Result, "description": ""},
		details(bare)); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}

// Why an event is ignored, word for word, and what is not.
func TestReasonsToIgnore(t *testing.T) {
	for name, test := range map[string]struct {
		opts *Options
		e    guance.Event
		want string
	}{
		"kept open": {&Options{KeepOpen: true}, guance.Event{Status: "ok"},
			"a person closes the incident: Options.KeepOpen ignores recoveries"},
		"recovery": {nil, guance.Event{Status: "ok", IsSilent: true}, ""},
		"muted": {&Options{IgnoreMuted: true}, guance.Event{Status: "error", IsSilent: true},
			"it is muted in Guance: Options.IgnoreMuted ignores it"},
		"muted by default": {nil, guance.Event{Status: "error", IsSilent: true}, ""},
		"info": {nil, guance.Event{Status: "info"},
			"Options.Severities ignores the level info"},
		"below": {&Options{MinLevel: guance.LevelError}, guance.Event{Status: "warning"},
			"the level warning is below Options.MinLevel, error"},
		"at the minimum": {&Options{MinLevel: guance.LevelError}, guance.Event{Status: "error"}, ""},
		"an unknown one": {&Options{MinLevel: guance.LevelError},
			guance.Event{FaultStatus: "fault"}, ""},
		"nothing at all":  {nil, guance.Event{}, "neither a problem nor a recovery: kind unknown"},
		"a test":          {nil, guance.Event{Title: "t"}, "neither a problem nor a recovery: kind test"},
		"title and words": {nil, guance.Event{Title: "t", Message: "m"}, ""},
		"plain text":      {nil, guance.Event{Text: true, Title: "t"}, ""},
		"a pending Issue": {nil, guance.Event{Title: "t", Message: "m",
			Incident: &guance.Incident{Kind: guance.KindIssue, Status: "pending"}},
			"neither a problem nor a recovery: kind issue"},
		"working": {nil, guance.Event{Incident: &guance.Incident{Status: "working"}}, ""},
		"Map": {&Options{Map: func(*guance.Event, *pagerduty.Event) bool { return false }},
			guance.Event{Status: "error"}, "Options.Map returned false"},
	} {
		opts, err := test.opts.withDefaults()
		if err != nil {
			t.Fatal(err)
		}
		s := &Sink{opts: opts}
		if _, got := s.event(&test.e, "p"); got != test.want {
			t.Errorf("%s: %q, want %q", name, got, test.want)
		}
		if got := s.Ignores(&test.e); got != test.want {
			t.Errorf("%s: Ignores says %q, want %q", name, got, test.want)
		}
		if test.want == "" {
			continue
		}
		s.client = new(pagerduty.Client) // it sends nothing
		err = s.Deliver(t.Context(), &relay.Delivery{Event: &test.e, Problem: "p"})
		if err == nil || err.Error() != relay.Ignore(test.want).Error() {
			t.Errorf("%s: Deliver returns %v", name, err)
		}
	}
}

// The settings of Enrich: the logger by default, one line a minute, and a bound on calls.
func TestEnrichmentSettings(t *testing.T) {
	n := newEnrichment(&Options{})
	if n.log != slog.Default() || cap(n.running) != 64 || n.warnings.Interval != time.Minute ||
		n.panics.Interval != time.Minute || n.required {
		t.Errorf("%+v", n)
	}
	log := slog.New(slog.DiscardHandler)
	if n = newEnrichment(&Options{Logger: log, EnrichRequired: true}); n.log != log || !n.required {
		t.Errorf("%+v", n)
	}
	synctest.Test(t, func(t *testing.T) {
		stuck := make(chan struct{})
		n := newEnrichment(&Options{Logger: log, Enrich: func(context.Context, *guance.Event,
			*pagerduty.Event) error {
			<-stuck
			return nil
		}})
		for range maxEnrich {
			go func() { _ = n.call(t.Context(), nil, nil) }() // it takes too long
		}
		synctest.Wait()
		began := time.Now()
		short, cancel := context.WithTimeout(t.Context(), 4*time.Second)
		defer cancel()
		if err := n.call(short, nil, nil); err == nil ||
			err.Error() != "64 earlier calls have not returned" || time.Since(began) != 2*time.Second {
			t.Errorf("%v after %v", err, time.Since(began))
		}
		<-time.After(10 * time.Second)
		close(stuck)
		synctest.Wait()
		if err := n.call(t.Context(), nil, nil); err != nil {
			t.Errorf("after the calls have returned: %v", err)
		}
	})
	cause := errors.New("cause")
	if err := (unsentError{cause}); !errors.Is(err, cause) || err.AnswerLost() {
		t.Error(err)
	}
}
