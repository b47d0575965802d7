package guance

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/google/go-cmp/cmp"
)

// What every status says, in every place that decides, and with white space and capitals.
func TestEveryStatus(t *testing.T) {
	want := map[State]map[Level]string{
		StateProblem: {
			LevelFatal: "fatal", LevelCritical: "critical security_critical",
			LevelError:   "error high security_high",
			LevelWarning: "warning medium security_medium", LevelNoData: "nodata",
			LevelInfo: "low security_low",
		},
		StateNeither:   {LevelInfo: "info security_info"},
		StateRecovered: {LevelNone: "ok nodata_ok nodata_as_ok manual_ok"},
	}
	n := 0
	for state, levels := range want {
		for level, list := range levels {
			for _, word := range strings.Fields(list) {
				n++
				s := Status(" " + strings.ToUpper(word) + "\n")
				if s.State() != state || s.Level() != level || !s.Known() {
					t.Errorf("%q: %v, %v, known %v", s, s.State(), s.Level(), s.Known())
				}
				for _, e := range []Event{{Status: s}, {SubStatus: s}} {
					if e.State() != state || e.Level() != level {
						t.Errorf("%+v: %v, %v; want %v, %v", e, e.State(), e.Level(), state, level)
					}
				}
			}
		}
	}
	if n != len(statuses) {
		t.Errorf("%d statuses here, %d in the table", n, len(statuses))
	}
	for text, test := range map[string]struct {
		e     Event
		state State
		level Level
	}{
		"a recovery in the status": {Event{Status: "ok", SubStatus: "error"}, StateRecovered,
			LevelNone},
		"a recovery in the sub-status": {Event{Status: "error", SubStatus: "manual_ok"},
			StateRecovered, LevelNone},
		"the status before the sub-status": {Event{Status: "info", SubStatus: "error"}, StateNeither,
			LevelInfo},
		"the fault status is the last": {Event{Status: "info", FaultStatus: "ok"}, StateNeither,
			LevelInfo},
		"fault status ok":    {Event{FaultStatus: " OK"}, StateRecovered, LevelNone},
		"fault status fault": {Event{FaultStatus: "Fault"}, StateProblem, LevelNone},
		"unknown":            {Event{Status: "odd"}, StateNeither, LevelNone},
	} {
		if test.e.State() != test.state || test.e.Level() != test.level {
			t.Errorf("%s: %v, %v", text, test.e.State(), test.e.Level())
		}
	}
}

// What the status and the priority of an Incident say.
func TestEveryIncident(t *testing.T) {
	for status, want := range map[string]State{"open": StateProblem, "pending": StateNeither,
		"working": StateNeither, "resolved": StateRecovered, "closed": StateRecovered,
		"odd": StateNeither} {
		e := Event{Incident: &Incident{Status: status, Severity: "system_level_1"}}
		level := LevelError
		if want == StateRecovered {
			level = LevelNone
		}
		if e.State() != want || e.Level() != level || e.Incident.level() != level ||
			e.Acknowledged() != (status == "working") {
			t.Errorf("%s: %v, %v, acknowledged %v", status, e.State(), e.Level(), e.Acknowledged())
		}
	}
	for severity, want := range map[string]Level{"system_level_0": LevelCritical,
		"system_level_1": LevelError, "system_level_2": LevelWarning, "system_level_3": LevelNone,
		"warning": LevelWarning, "": LevelNone} {
		if got := (&Incident{Status: "open", Severity: severity}).level(); got != want {
			t.Errorf("%s: %v, want %v", severity, got, want)
		}
	}
	for number, want := range map[string]string{"10": "open", "15": "working", "20": "resolved",
		"25": "closed", "30": "pending"} {
		body := `{"issueUUID":"issue_1","issueStatus":` + number + `}`
		if got := issueStatuses[number]; got != want {
			t.Errorf("%s: %q, want %q", body, got, want)
		}
	}
	for _, test := range []struct {
		name, id string
		want     Kind
	}{
		{"incident_uuid", `"a"`, KindIncident}, {"incident_uuid", `""`, ""}, {"incident_uuid", "5", KindIncident},
		{"incident_uuid", "null", ""}, {"uuid", `"incident_1"`, KindIncident}, {"uuid", `"a"`, ""},
		{"uuid", `"issue_1"`, KindIssue}, {"name", `"incident_1"`, ""}, {"name", `"issue_1"`, ""},
		{"issue_uuid", `"issue_1"`, KindIssue}, {"issue_uuid", `"incident_1"`, ""},
	} {
		if got := incidentKind(test.name, jsontext.Value(test.id)); got != test.want {
			t.Errorf("%s %s: %q, want %q", test.name, test.id, got, test.want)
		}
	}
}

// The key of a problem: what decides it, in this order.
func TestProblemKeyOrder(t *testing.T) {
	full := Event{EventRef: "ref", CheckerID: "checker", DimensionTagsText: "tags", FaultID: "fault",
		Incident: &Incident{Resource: "resource", UUID: "uuid", Status: "open"}, EventID: "event",
		Raw: []byte("raw")}
	steps := []struct {
		want   string
		remove func(*Event)
	}{
		{"ref", func(e *Event) { e.EventRef = "" }},
		{full.checkerKey(phaseCheck), func(e *Event) { e.CheckerID = "" }},
		{"fault", func(e *Event) { e.FaultID = "" }},
		{"resource", func(e *Event) { e.Incident.Resource = "" }},
		{"uuid", func(e *Event) { e.Incident.UUID = "" }},
		{digest("problem", "", "", "", "tags"), func(e *Event) { e.Incident.Status = "working" }},
		{"event", func(e *Event) { e.EventID = "" }},
		{digest("content", "raw"), func(e *Event) { e.Raw = nil }},
	}
	for i, step := range steps {
		if got := full.ProblemKey(); got != step.want {
			t.Errorf("step %d: %q, want %q", i, got, step.want)
		}
		step.remove(&full)
	}
	if got, want := full.ProblemKey(), digest("content", string(full.encode())); got != want {
		t.Errorf("%q, want %q", got, want)
	}
	if got := digest("mark", "a", "b"); len(got) != len("mark-")+32 || got == digest("mark", "ab") ||
		got == digest("other", "a", "b") {
		t.Errorf("digest %q", got)
	}
}

// The kind of an event: what decides it, in this order.
func TestKindOrder(t *testing.T) {
	for want, list := range map[Kind][]Event{
		KindIncident:    {{Incident: &Incident{Kind: KindIncident}, Text: true}},
		KindIssue:       {{Incident: &Incident{Kind: KindIssue}}},
		KindText:        {{Text: true, Source: "slo"}},
		KindSLO:         {{Source: "slo"}, {MonitorType: "slo"}, {Checker: "custom_slo"}},
		KindIntelligent: {{Source: "smartMonitor"}, {MonitorType: "bot_obs"}, {EventReport: json.RawMessage(`{"a":1}`)}},
		KindSecurity:    {{Source: "security"}, {Status: " SECURITY_low"}},
		KindCustom:      {{Source: "custom"}, {Source: "user"}},
		KindChange:      {{Source: "change"}}, KindAudit: {{Source: "audit"}, {Source: "system"}},
		KindExternal: {{Checker: "OuterEventChecker"}, {MonitorType: "outer_event"}},
		KindNoData: {{CheckerSub: "nodata", Status: "error"}, {Status: "nodata"},
			{SubStatus: "nodata_ok"},
			{Status: "ok", SubStatus: "nodata_as_ok"}},
		KindRecovery: {{Status: "ok"}},
		KindFault:    {{Status: "error"}, {Status: "error", EventReport: json.RawMessage("{}")}},
		KindInfo:     {{Status: "info"}},
		KindTest:     {{Title: "a"}, {Message: "a"}},
		KindUnknown: {{}, {Title: "a", EventID: "e"}, {Title: "a", CheckerID: "c"},
			{Title: "a", Status: "odd"},
			{Title: "a", Extra: map[string]json.RawMessage{"df_status": nil}}},
	} {
		for _, e := range list {
			if got := e.Kind(); got != want {
				t.Errorf("%+v is %s, want %s", e, got, want)
			}
		}
	}
}

// The words of Invalid for each JSON kind that is not the wanted one.
func TestKindNames(t *testing.T) {
	for value, want := range map[string]string{"null": "null", "true": "a boolean", "false": "a boolean",
		`"a"`: "a string", "5": "a number", "{}": "an object", "[]": "an array"} {
		if got := kindNames[jsontext.Value(value).Kind()]; got != want {
			t.Errorf("%s is %q, want %q", value, got, want)
		}
	}
}

func TestNumbersOfTimes(t *testing.T) {
	for text, want := range map[string]int64{"0": 0, "9": 9, "1700000000": 1700000000,
		"123456789012345678": 123456789012345678} {
		if n, ok := wholeNumber(jsontext.Value(text)); n != want || !ok {
			t.Errorf("%s is %d, %v", text, n, ok)
		}
	}
	for _, text := range []string{"", "1234567890123456789", "1.5", "-1", "1e3", "/", ":"} {
		if n, ok := wholeNumber(jsontext.Value(text)); ok {
			t.Errorf("%q is %d", text, n)
		}
	}
	for text, want := range map[string]struct {
		ms int64
		ok bool
	}{
		`""`: {0, true}, "5": {5000, true}, "1.5": {1500, true}, "1.0005": {1001, true}, `"7"`: {7000, true},
		"-1": {0, false}, `"x"`: {0, false}, "0": {0, true}, "-0.5": {0, false},
	} {
		if ms, ok := parseMillis(jsontext.Value(text)); ms != want.ms || ok != want.ok {
			t.Errorf("%s is %d ms, %v; want %+v", text, ms, ok, want)
		}
	}
	for _, n := range []int64{maxSeconds, maxSeconds + 1, maxMillis, maxMillis + 1} {
		text, err := json.Marshal(n)
		if err != nil {
			t.Fatal(err)
		}
		want, fits := n, n <= maxMillis
		if n <= maxSeconds {
			want = n * 1000
		}
		if !fits {
			want = 0
		}
		for _, form := range []string{string(text), string(text) + ".0"} {
			if ms, ok := parseMillis(jsontext.Value(form)); ms != want || ok != fits {
				t.Errorf("%s is %d ms, %v; want %d, %v", form, ms, ok, want, fits)
			}
		}
	}
	for at, want := range map[time.Time]string{
		{}: "", time.UnixMilli(1500): "1.5", time.Unix(maxSeconds-1, 0): "",
		time.Unix(maxSeconds, 0): "",
	} {
		got := string(appendUnixTime(nil, at))
		if at.Unix() >= maxSeconds-1 {
			back, ok := parseUnixTime(jsontext.Value(got))
			if !ok || !back.Equal(at) {
				t.Errorf("%v is written as %s and read as %v", at, got, back)
			}
		} else if got != want {
			t.Errorf("%v is written as %q, want %q", at, got, want)
		}
	}
	for text, want := range map[string]TimeRange{
		"[1,2]":    {time.Unix(1, 0).UTC(), time.Unix(2, 0).UTC()},
		"[null,2]": {End: time.Unix(2, 0).UTC()}, "[1,null]": {Start: time.Unix(1, 0).UTC()},
		"[null,null]": {},
	} {
		if got, ok := parseRange(jsontext.Value(text)); got != want || !ok {
			t.Errorf("%s is %v, %v", text, got, ok)
		}
	}
	for _, text := range []string{"[]", "[1]", "[1,2,3]", `[1,"x"]`, "5"} {
		if got, ok := parseRange(jsontext.Value(text)); ok {
			t.Errorf("%s is %v", text, got)
		}
	}
}

// A text event is its title and message, with a blank line between.
func TestPlainText(t *testing.T) {
	for want, e := range map[string]Event{"title": {Title: "title"},
		"title\n\nmessage": {Title: "title", Message: "message"},
		"raw":              {Title: "title", Raw: []byte("raw")}, "\n\nmessage": {Message: "message"}} {
		if got := e.plainText(); got != want {
			t.Errorf("%+v: %q, want %q", e, got, want)
		}
	}
}

// A list and a string inside a list are a level of wrapping each; in an object they are none.
func TestWrapperLevels(t *testing.T) {
	event := `{"df_status":"error","df_title":"t"}`
	quoted := func(s string) string {
		text, err := json.Marshal(s)
		if err != nil {
			t.Fatal(err)
		}
		return string(text)
	}
	list := func(s string) string { return "[" + s + "]" }
	object := func(s string) string { return `{"x":` + s + "}" }
	for name, wrap := range map[string]func(string) string{
		"objects":          object,
		"lists":            list,
		"strings in lists": func(s string) string { return list(quoted(s)) },
	} {
		text, deepest := event, -1
		for n := range wrapperLevels + 4 {
			found := false
			visit(jsontext.Value(text), 1, func(jsontext.Value, class) bool {
				found = true
				return false
			})
			if found {
				deepest = n
			}
			text = wrap(text)
		}
		want := map[string]int{"objects": wrapperLevels - 1, "lists": wrapperLevels,
			"strings in lists": wrapperLevels - 1}[name]
		if deepest != want {
			t.Errorf("%s: found inside %d of them, want %d", name, deepest, want)
		}
	}
}

// The optional members of an Incident that was built from fields: each once, unless Extra has it.
func TestIncidentMembers(t *testing.T) {
	i := &Incident{Kind: KindIncident, UUID: "u", Status: "open", Severity: "l", Resource: "r",
		Title: "t", Time: time.Unix(5, 0)}
	const all = `"incident_uuid":"u","incidentsStatus":"open","level":"l","resourceIdentity":"r",` +
		`"title":"t","statusTime":5,`
	if got := string(i.append(nil, nil)); got != all {
		t.Errorf("%s", got)
	}
	extra := map[string]json.RawMessage{"level": nil, "statusTime": nil}
	if got := string(i.append(nil, extra)); got !=
		`"incident_uuid":"u","incidentsStatus":"open","resourceIdentity":"r","title":"t",` {
		t.Errorf("%s", got)
	}
	if got := string((&Incident{Kind: KindIssue, UUID: "u"}).append(nil, nil)); got !=
		`"issue_uuid":"u",` {
		t.Errorf("%s", got)
	}
}

// Every field that is of a wrong type says what was wanted, and is kept.
func TestInvalidNamesTheWantedForm(t *testing.T) {
	seen := make(map[string]bool)
	for _, f := range fields {
		if f.want == "" {
			t.Errorf("%s does not say what it wants", f.name)
		}
		for _, value := range []string{"5", "true", `"\u0000 x"`, "[5]", `{"a":{}}`} {
			e := new(Event)
			if f.decode(e, jsontext.Value(value)) {
				continue
			}
			seen[f.want] = true
			body := map[string]json.RawMessage{"df_status": []byte(`"error"`), "df_title": []byte(`"t"`)}
			body[f.name] = []byte(value)
			text, err := json.Marshal(body)
			if err != nil {
				t.Fatal(err)
			}
			events, err := Decode(text, "application/json")
			if err != nil || len(events) != 1 || string(events[0].Extra[f.name]) != value {
				t.Errorf("%s as %s: %v", f.name, value, err)
				continue
			}
			want := f.name + ": got " + kindNames[jsontext.Value(value).Kind()] + ", want " + f.want +
				"; kept in Extra"
			if !slices.ContainsFunc(events[0].Invalid, func(s string) bool { return s == want }) {
				t.Errorf("%s as %s: %q, want %q", f.name, value, events[0].Invalid, want)
			}
		}
	}
	if len(seen) < 4 {
		t.Errorf("only %v were tried", seen)
	}
}

// An empty text is an empty object of texts.
func TestEmptyPairs(t *testing.T) {
	for _, f := range fields {
		if f.want != "an object"+ofMaxMembers {
			continue
		}
		for text, want := range map[string]bool{`""`: true, `"{}"`: true, "{}": true, `"x"`: false,
			"[]": false} {
			if got := f.decode(new(Event), jsontext.Value(text)); got != want {
				t.Errorf("%s as %s: %v", f.name, text, got)
			}
		}
	}
}

func TestEmptySlice(t *testing.T) {
	for text, want := range map[string]int{"[1,2,3]": 3, "[1]": 1, "[]": 0, "{}": 0} {
		got := emptySlice[int](jsontext.Value(text))
		if len(got) != 0 || cap(got) != want || (got == nil) != (want == 0) {
			t.Errorf("%s: room for %d, want %d", text, cap(got), want)
		}
	}
	if diff := cmp.Diff([]int{1, 2, 3, 3}, []int{quotedLength([]byte(`"`)), quotedLength([]byte(`""x`)),
		quotedLength([]byte(`"a"`)), quotedLength([]byte(`"\"`))}); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}
