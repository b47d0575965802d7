package relay_test

import (
	"encoding/json"
	"testing"

	"github.com/guance-relay/guance-relay/guance"
	"github.com/guance-relay/guance-relay/guance/guancetest"
	"github.com/guance-relay/guance-relay/relay"
)

func TestMatch(t *testing.T) {
	problem := guancetest.NewProblem("disk", "host", "web001", "service", "payments")
	fault, recovery := problem.Fault(guance.LevelError), problem.Recover()
	shop := &guance.Event{
		Status: guance.StatusError, WorkspaceUUID: "wksp_1", WorkspaceName: "shop",
		CheckerID:   "rul_1",
		CheckerName: "disk usage", MonitorID: "altpl_1", Label: []string{"night", "db"},
	}
	legacy := &guance.Event{LegacyWorkspaceUUID: "wksp_1", LegacyWorkspaceName: "shop"}
	foreign := &guance.Event{Extra: map[string]json.RawMessage{
		"service": []byte(`"payments"`), "port": []byte(`80`), "zone": []byte(`null`),
		"empty": []byte(`""`),
	}}
	tagged := &guance.Event{
		DimensionTags: map[string]string{"service": "search"},
		Extra:         map[string]json.RawMessage{"service": []byte(`"payments"`)},
	}
	empty, strange := &guance.Event{}, &guance.Event{Status: "strange"}
	yes, no := relay.All(), relay.Any()

	for _, tc := range []struct {
		name  string
		match func(*guance.Event) bool
		event *guance.Event
		want  bool
	}{
		{"a tag's value", relay.MatchTag("service", "search", "payments"), fault, true},
		{"a tag's value in a recovery", relay.MatchTag("service", "payments"), recovery, true},
		{"another value", relay.MatchTag("service", "search"), fault, false},
		{"any value", relay.MatchTag("service"), fault, true},
		{"no such tag", relay.MatchTag("cluster"), fault, false},
		{"no such tag, empty value", relay.MatchTag("cluster", ""), fault, false},
		{"a field of another system", relay.MatchTag("service", "payments"), foreign, true},
		{"a field that is not text", relay.MatchTag("port"), foreign, false},
		{"a field that is null", relay.MatchTag("zone"), foreign, false},
		{"a field that is empty", relay.MatchTag("empty"), foreign, false},
		{"the tag goes before the field", relay.MatchTag("service", "payments"), tagged, false},

		{"a workspace's id", relay.MatchWorkspace("wksp_0", "wksp_1"), shop, true},
		{"a workspace's name", relay.MatchWorkspace("shop"), shop, true},
		{"a workspace's older field", relay.MatchWorkspace("wksp_1"), legacy, true},
		{"another workspace", relay.MatchWorkspace("wksp_2"), shop, false},
		{"no workspace", relay.MatchWorkspace(""), empty, false},
		{"no workspace wanted", relay.MatchWorkspace(), shop, false},

		{"a monitor's id", relay.MatchMonitor("rul_1"), shop, true},
		{"a monitor's name", relay.MatchMonitor("disk usage"), shop, true},
		{"an alert policy is no monitor", relay.MatchMonitor("altpl_1"), shop, false},
		{"no monitor", relay.MatchMonitor(""), empty, false},

		{"a label", relay.MatchLabel("day", "db"), shop, true},
		{"another label", relay.MatchLabel("day"), shop, false},
		{"no label", relay.MatchLabel("day"), empty, false},

		{"the level", relay.AtLeast(guance.LevelError), fault, true},
		{"a worse level", relay.AtLeast(guance.LevelError), problem.Fault(guance.LevelFatal), true},
		{"a lower level", relay.AtLeast(guance.LevelCritical), fault, false},
		{"missing data", relay.AtLeast(guance.LevelWarning), problem.NoData(), false},
		{"information", relay.AtLeast(guance.LevelWarning), problem.Info(), false},
		{"a recovery", relay.AtLeast(guance.LevelFatal), recovery, false},
		{"a recovery by hand", relay.AtLeast(guance.LevelFatal), problem.RecoverByHand(), false},
		{"a closed incident", relay.AtLeast(guance.LevelFatal), problem.Incident("closed"), false},
		{"an acknowledgement", relay.AtLeast(guance.LevelInfo), problem.Incident("working"), false},
		{"an unknown level", relay.AtLeast(guance.LevelFatal), strange, true},

		{"all of none", relay.All(), empty, true},
		{"all of one that takes it", relay.All(yes), empty, true},
		{"all of two", relay.All(yes, no), empty, false},
		{"any of none", relay.Any(), empty, false},
		{"any of two", relay.Any(no, yes), empty, true},
		{"any of two that do not take it", relay.Any(no, no), empty, false},
		{"not", relay.Not(yes), empty, false},
		{"not not", relay.Not(no), empty, true},
	} {
		if got := tc.match(tc.event); got != tc.want {
			t.Errorf("%s: the event is taken: %v, want %v", tc.name, got, tc.want)
		}
	}
}

// What a caller changes afterwards in its slice changes no lane.
func TestMatchKeepsItsValues(t *testing.T) {
	values := []string{"payments"}
	match := relay.MatchTag("service", values...)
	values[0] = "search"
	if !match(&guance.Event{DimensionTags: map[string]string{"service": "payments"}}) {
		t.Error("the function changed with the slice that it was made of")
	}
}
