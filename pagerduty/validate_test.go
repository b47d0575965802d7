package pagerduty

import (
	"errors"
	"strings"
	"testing"
)

// The rules find everything that the repair leaves, and errors use PagerDuty's field names.
func TestCheckSaysWhatNobodyElseCanMend(t *testing.T) {
	long := strings.Repeat("a", 2000)
	for name, test := range map[string]struct {
		rules any
		want  []string // one text in each error
	}{
		"sound trigger": {&alertRules{Action: ActionTrigger, DedupKey: "k", Summary: "s"}, nil},
		"sound resolve": {&alertRules{Action: ActionResolve, DedupKey: "k"}, nil},
		"sound change":  {&changeRules{Summary: "s"}, nil},
		"at the limits": {&alertRules{Action: ActionTrigger, DedupKey: long[:255],
			Summary: strings.Repeat("界", 1024)}, nil},
		"no action": {&alertRules{DedupKey: "k", Summary: "s"}, []string{"event_action"}},
		"an unknown action": {&alertRules{Action: "Trigger", DedupKey: "k", Summary: "s"},
			[]string{"event_action"}},
		"no dedup key": {&alertRules{Action: ActionResolve}, []string{"dedup_key"}},
		"a blank dedup key": {&alertRules{Action: ActionResolve, DedupKey: "\u3000"},
			[]string{"dedup_key"}},
		"no summary": {&alertRules{Action: ActionTrigger, DedupKey: "k"},
			[]string{"payload.summary"}},
		"too long": {&alertRules{Action: ActionTrigger, DedupKey: long[:256],
			Summary: strings.Repeat("🙂", 513)}, []string{"DedupKey", "Summary"}},
		"nothing at all":     {&alertRules{}, []string{"event_action", "dedup_key"}},
		"a blank change":     {&changeRules{Summary: " "}, []string{"payload.summary"}},
		"a change too large": {&changeRules{Summary: long}, []string{"Summary"}},
	} {
		err := check(test.rules)
		e, _ := errors.AsType[*Error](err)
		if len(test.want) == 0 {
			if err != nil {
				t.Errorf("%s: %v", name, err)
			}
			continue
		}
		if e == nil || !e.Permanent() || len(e.Errors) != len(test.want) {
			t.Errorf("%s: %v, want a permanent error about %v", name, err, test.want)
			continue
		}
		for i, want := range test.want {
			if !strings.Contains(e.Errors[i], want) {
				t.Errorf("%s: %q, want it to name %s", name, e.Errors[i], want)
			}
		}
	}
}
