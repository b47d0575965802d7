package guance_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/guance-relay/guance-relay/guance"
)

// The content decides before the content type.
func TestContentType(t *testing.T) {
	const event, text = `{"df_title":"x"}`, "disk full\n\n- host a\n- host b\n"
	for _, test := range []struct {
		name, body, contentType string
		title, message          string
		isText                  bool
	}{
		{"JSON", event, "application/json", "x", "", false},
		{"JSON, charset", event, "application/json; charset=utf-8", "x", "", false},
		{"JSON, no type", event, "", "x", "", false},
		{"JSON, wrong type", event, "application/x-www-form-urlencoded", "x", "", false},
		{"JSON, nonsense type", event, ";;;", "x", "", false},
		{"JSON, text", event, "text/plain", "x", "", false},
		{"JSON, text with space", " \r\n\t" + event + "\n", "TEXT/Plain ; charset=UTF-8", "x", "", false},
		{"text", text, "text/plain", "disk full", "- host a\n- host b", true},
		{"text, CRLF", "a\r\n\r\nb\r\nc", "text/plain", "a", "b\nc", true},
		{"text, title alone", "disk full", "text/plain", "disk full", "", true},
		{"text, no empty line", "disk full\non host a", "text/plain", "disk full", "on host a", true},
		{"text, empty", "", "text/plain", "", "", true},
		{"text, a number", "42", "text/plain", "42", "", true},
		{"text, in quotes", `"disk full"`, "text/plain", `"disk full"`, "", true},
		{"text, not quite JSON", `{"df_title":`, "text/plain", `{"df_title":`, "", true},
		{"text, in brackets", "[disk] full", "text/plain", "[disk] full", "", true},
		{"text, bad UTF-8", "a\xff\xfeb", "text/plain", "a\ufffdb", "", true},
		{"JSON string", `"disk full\n\non host a"`, "application/json", "disk full", "on host a", true},
	} {
		t.Run(test.name, func(t *testing.T) {
			e := one(t, test.body, test.contentType)
			if e.Title != test.title || e.Message != test.message || e.Text != test.isText {
				t.Errorf("got %q, %q, text %t, want %q, %q, %t", e.Title, e.Message, e.Text, test.title,
					test.message, test.isText)
			}
			if e.State() != guance.StateNeither {
				t.Errorf("State() = %s, want neither", e.State())
			}
		})
	}
}

func TestLegacyTextSample(t *testing.T) {
	var request struct {
		ContentType string `json:"content_type"`
		Body        string `json:"body"`
	}
	if err := json.Unmarshal(sample(t, "webhook-legacy-text-body.json"), &request); err != nil {
		t.Fatal(err)
	}
	want := &guance.Event{
		Raw: []byte(request.Body), Text: true,
		Title:   "您的ECS存在问题",
		Message: "您的ECS 存在以下问题：\n- CPU使用率过高（92%）\n- 内存使用率过高（81%）",
	}
	if diff := cmp.Diff(want, one(t, request.Body, request.ContentType)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// JSON that is not an event is not an error: Guance switches off a webhook that fails.
func TestNotAnEvent(t *testing.T) {
	for body, events := range map[string]int{
		`{}`: 1, `null`: 1, `5`: 1, `true`: 1, `""`: 1, `[]`: 0, `[[],[[]]]`: 0, `[1,null,{}]`: 3,
		` {} `:                               1,
		`{"code":200,"content":{"data":[]}}`: 1, `{"df_status":null}`: 1,
	} {
		got, err := guance.Decode([]byte(body), "application/json")
		if err != nil || len(got) != events {
			t.Errorf("Decode(%s) = %d events, %v, want %d", body, len(got), err, events)
		}
		for _, e := range got {
			if !e.Text && e.Kind() != guance.KindUnknown {
				t.Errorf("Kind of %s in %s = %s, want unknown", e.Raw, body, e.Kind())
			}
			if e.State() != guance.StateNeither || e.Level() != guance.LevelNone || e.ProblemKey() == "" {
				t.Errorf("%s in %s is %s, %s, of problem %q", e.Raw, body, e.State(), e.Level(), e.ProblemKey())
			}
		}
	}
}

func TestSyntaxError(t *testing.T) {
	for _, test := range []struct {
		body   string
		offset int64
		cutOff bool
	}{
		{``, 0, true},
		{"  ", 2, true},
		{`{`, 1, true},
		{`{"df_status":"crit`, 18, true},
		{`[1,2`, 4, true},
		{`{"a":1}}`, 7, false},
		{`{"a":1} {"b":2}`, 7, false},
		{`{'a':1}`, 1, false},
		{`{"a":01}`, 6, false},
		{`[1,]`, 2, false},
		{`title=x&message=y`, 1, false},
		{"\ufeff{]", 4, false},
		{"{\"a\":\"\x00\"}", 6, false},
	} {
		for _, contentType := range []string{"", "application/json", "text/html"} {
			events, err := guance.Decode([]byte(test.body), contentType)
			syntax, ok := errors.AsType[*guance.SyntaxError](err)
			if !ok || events != nil {
				t.Errorf("Decode(%q, %q) = %d events, %v, want none and a *SyntaxError", test.body,
					contentType, len(events), err)
				continue
			}
			if cutOff := errors.Is(err, io.ErrUnexpectedEOF); cutOff != test.cutOff {
				t.Errorf("Decode(%q) says %v, want cut off: %t", test.body, err, test.cutOff)
			}
			if syntax.Offset != test.offset {
				t.Errorf("Decode(%q) says %v, want offset %d", test.body, err, test.offset)
			}
			if !strings.HasPrefix(err.Error(), "guance: ") {
				t.Errorf("the error %q does not name the package", err)
			}
		}
	}
}

func TestLimits(t *testing.T) {
	nested := func(open, inner, shut string, levels int) string {
		return strings.Repeat(open, levels) + inner + strings.Repeat(shut, levels)
	}
	list := func(element string, n int) string {
		return "[" + strings.TrimSuffix(strings.Repeat(element+",", n), ",") + "]"
	}
	title := func(size int) string {
		return `{"df_title":"` + strings.Repeat("x", size-len(`{"df_title":""}`)) + `"}`
	}
	object := func(first string, n int) string {
		var b strings.Builder
		for i := range n - strings.Count(first, ",") {
			fmt.Fprintf(&b, `,"%x":1`, i)
		}
		return "{" + first + b.String()[1:] + "}"
	}
	for _, test := range []struct {
		name, body string
		limit      guance.Limit
		events     int
	}{
		{"size", title(guance.MaxBodySize), "", 1},
		{"size", title(guance.MaxBodySize + 1), guance.LimitSize, 0},
		{"arrays", nested("[", "{}", "]", guance.MaxDepth-1), "", 1},
		{"arrays", nested("[", "{}", "]", guance.MaxDepth), guance.LimitDepth, 0},
		{"objects", nested(`{"a":`, "1", "}", guance.MaxDepth), "", 1},
		{"objects", nested(`{"a":`, "1", "}", guance.MaxDepth+1), guance.LimitDepth, 0},
		{"arrays without end", strings.Repeat("[", 1<<20), guance.LimitDepth, 0},
		{"brackets in a text", `{"a":"` + strings.Repeat("[", 1000) + `\"[[[[\\"}`, "", 1},
		{"elements", list("{}", guance.MaxEvents), "", guance.MaxEvents},
		{"elements", list("{}", guance.MaxEvents+1), guance.LimitEvents, 0},
		{"wrapped", `{"a":` + list(`{"df_status":"ok"}`, guance.MaxEvents) + `}`, "", guance.MaxEvents},
		{"wrapped", `{"a":` + list(`{"df_status":"ok"}`, guance.MaxEvents+1) + `}`, guance.LimitEvents,
			0},
		{"members", object("", guance.MaxMembers), "", 1},
		{"members", object("", guance.MaxMembers+1), guance.LimitMembers, 0},
		{"members of one name", "{" + strings.Repeat(`"a":1,`, guance.MaxMembers) + `"a":1}`,
			guance.LimitMembers, 0},
		{"members of an element", "[{}," + object("", guance.MaxMembers+1) + "]", guance.LimitMembers, 0},
		{"members of an event inside",
			`{"a":` + object(`"df_event_id":"event-1",`, guance.MaxMembers+1) + `}`, guance.LimitMembers, 0},
		{"members of an event in a string", "[" + mustQuote(object("", guance.MaxMembers+1)) + "]",
			guance.LimitMembers, 0},
		{"members of what is no event", `{"df_status":"ok","a":` + object("", 3*guance.MaxMembers) + `}`,
			"", 1},
		{"wrapped in two", list(`{"a":`+list(`{"df_status":"ok"}`, guance.MaxEvents/2)+`}`, 3),
			guance.LimitEvents, 0},
	} {
		t.Run(test.name, func(t *testing.T) {
			for _, contentType := range []string{"application/json", "text/plain"} {
				events, err := guance.Decode([]byte(test.body), contentType)
				limit, _ := errors.AsType[*guance.LimitError](err)
				switch {
				case test.limit == "" && (err != nil || len(events) != test.events):
					t.Errorf("Decode = %d events, %v, want %d", len(events), err, test.events)
				case test.limit != "" && (limit == nil || limit.Limit != test.limit || events != nil):
					t.Errorf("Decode = %d events, %v, want none and the limit of %s", len(events), err, test.limit)
				case test.limit != "" &&
					!strings.HasPrefix(err.Error(),
						fmt.Sprintf("guance: the body has more than %d %s;", limit.Max, limit.Limit)):
					t.Errorf("the error %q does not name the limit", err)
				}
			}
		})
	}
	// JSON inside a string starts at depth zero again and has the same limit.
	deep := one(t, `{"df_status":"ok","df_meta":"`+nested("[", "", "]",
		guance.MaxDepth+1)+`","df_label":"`+nested("[", "", "]", guance.MaxDepth+1)+`"}`, "")
	if deep.Meta[0] != '"' || deep.Label != nil || len(deep.Invalid) != 1 {
		t.Errorf("Meta = %s, Label = %q, Invalid = %q, want what is too deep left as text", deep.Meta,
			deep.Label, deep.Invalid)
	}
}

func mustQuote(text string) string {
	quoted, err := json.Marshal(text)
	if err != nil {
		panic(err)
	}
	return string(quoted)
}

// A list or object that is too long for its field is kept in Extra, and the event is decoded.
func TestReport19LongLists(t *testing.T) {
	var numbers, members, ranges strings.Builder
	for i := range guance.MaxMembers + 1 {
		fmt.Fprintf(&numbers, ",%d", i)
		fmt.Fprintf(&members, `,"%d":1`, i)
		fmt.Fprintf(&ranges, ",[%d,null]", i)
	}
	long := map[string]string{
		"df_label":                 "[" + numbers.String()[1:] + "]",
		"df_dimension_tags":        "{" + members.String()[1:] + "}",
		"df_workspace_declaration": "{" + members.String()[1:] + "}",
		"alert_time_ranges":        "[" + ranges.String()[1:] + "]",
		"df_check_condition":       `{"operands":[` + numbers.String()[1:] + "]}",
	}
	for name, value := range long {
		values := []string{value}
		if name != "alert_time_ranges" {
			values = append(values, mustQuote(value))
		}
		for _, value := range values {
			e := one(t, `{"df_status":"critical","df_monitor_checker_id":"rul_1","`+name+`":`+value+`}`, "")
			if e.State() != guance.StateProblem || len(e.Invalid) != 1 ||
				!strings.HasPrefix(e.Invalid[0], name) || string(e.Extra[name]) != value {
				t.Errorf("%s: %s, Invalid %q, %d bytes in Extra; want a problem, and the field kept as it is",
					name, e.State(), e.Invalid, len(e.Extra[name]))
			}
			if len(e.Label)+len(e.DimensionTags)+len(e.WorkspaceDeclaration)+len(e.AlertTimeRanges) > 0 ||
				e.CheckCondition != nil {
				t.Errorf("%s: the field is filled in", name)
			}
			other := one(t, `{"df_status":"critical","df_monitor_checker_id":"rul_1"}`, "")
			if same := e.ProblemKey() == other.ProblemKey(); same == (name == "df_dimension_tags") {
				t.Errorf("%s: the problem is that of an event without it: %v", name, same)
			}
		}
	}
}

// Invalid has a limited length.
func TestInvalidIsBounded(t *testing.T) {
	name := strings.Repeat("x", 1<<16)
	e := one(t, "{"+strings.Repeat(`"`+name+`":1,`, 100)+`"`+name+`":1}`, "")
	size := 0
	for _, reason := range e.Invalid {
		size += len(reason)
	}
	if len(e.Invalid) == 0 || size > 1<<13 {
		t.Errorf("Invalid has %d reasons of %d bytes, want some, and few", len(e.Invalid), size)
	}
}

func TestEncodingIsRepaired(t *testing.T) {
	e := one(t, "\ufeff{\"df_title\":\"a\xffb\"}\n", "application/json")
	if want := "a\ufffdb"; e.Title != want {
		t.Errorf("Title = %q, want %q", e.Title, want)
	}
	if want := "{\"df_title\":\"a\ufffdb\"}\n"; string(e.Raw) != want {
		t.Errorf("Raw = %q, want it repaired and nothing else: %q", e.Raw, want)
	}
}

// Decode makes one copy: no event refers to the caller's buffer, and raw fields share the event's.
func TestMemory(t *testing.T) {
	body := []byte(` [{"df_status":"ok","df_at_accounts":[1],"host":"a"},2] `)
	want := string(body)
	events, err := guance.Decode(body, "")
	if err != nil {
		t.Fatal(err)
	}
	clear(body)
	e := events[0]
	for _, part := range [][]byte{e.AtAccounts, e.Extra["host"], events[1].Raw} {
		if !strings.Contains(want, string(part)) {
			t.Errorf("%q is no part of the body any more", part)
		}
		if cap(part) != len(part) {
			t.Errorf("appending to %q would write into what follows", part)
		}
	}
	for _, part := range [][]byte{e.AtAccounts, e.Extra["host"]} {
		was := string(part)
		for i := range e.Raw {
			e.Raw[i]++
		}
		if string(part) == was {
			t.Errorf("%q is not shared with Raw", part)
		}
	}
}
