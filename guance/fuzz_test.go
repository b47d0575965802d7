package guance_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/guance-relay/guance-relay/guance"
)

// addSeeds adds the samples and some other bodies. More of them are in testdata/fuzz.
func addSeeds(f *testing.F) {
	files, err := filepath.Glob("testdata/*.json")
	if err != nil || len(files) == 0 {
		f.Fatalf("no samples: %v", err)
	}
	for _, file := range files {
		body, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(body, "application/json")
	}
	for _, body := range []string{
		"", "null", "[]", "\v{}", "[[{}],1]", `"text"`, "\ufeff{}", "{\"df_title\":\"\xff\"}",
		`{"df_status":"ok","df_status":"critical"}`,
		`{"df_dimension_tags":{"a":"b"},"df_monitor_checker_id":"rul_1","df_label":"[1]"}`,
		`{"a":{"b":[{"df_event_id":"event-1","df_check_condition":{"operator":">","operands":["1",` +
			`2]}}]}}`,
		`{"incident":{"uuid":"incident_1","status":"working"},"resourceIdentity":"x"}`,
		`{"df_status":"info","date":10000000001,"df_date_range":"1.5","alert_time_ranges":[[1,null]],` +
			`"df_is_silent":"true"}`,
		`{"df_status":"critical","body":"[{\"df_event_id\":\"event-1\",\"df_dimension_tags\":7}]"}`,
		`"{\"x\":[\"{\\\"uuid\\\":\\\"issue_1\\\"}\"]}"`,
		`{"df_meta":"{\"a\":\"\\ud800\"}","df_monitor_checker_value_dumps":"\"1\"","Result":"0x1"}`,
	} {
		f.Add([]byte(body), "")
		f.Add([]byte(body), "text/plain; charset=utf-8")
	}
}

func FuzzDecode(f *testing.F) {
	addSeeds(f)
	f.Fuzz(func(t *testing.T, body []byte, contentType string) {
		was := string(body)
		events, err := guance.Decode(body, contentType)
		if string(body) != was {
			t.Fatal("Decode changed the body")
		}
		if err != nil {
			_, syntax := errors.AsType[*guance.SyntaxError](err)
			_, limit := errors.AsType[*guance.LimitError](err)
			if !syntax && !limit || events != nil {
				t.Fatalf("Decode = %d events, %v, want none and an error of a known type", len(events), err)
			}
			if syntax && json.Valid(body) && utf8.Valid(body) {
				t.Fatalf("Decode refuses JSON: %v", err)
			}
			return
		}
		for _, e := range events {
			checkMethods(t, e)
			checkRaw(t, e, body)
			checkKept(t, e)
			checkRebuilt(t, e)
		}
	})
}

// checkMethods calls every method of an event.
func checkMethods(t *testing.T, e *guance.Event) {
	t.Helper()
	if e.Kind() == guance.KindUnknown && len(e.Invalid) == 0 {
		t.Fatal("an event is not understood and does not say why")
	}
	if e.ProblemKey() == "" || e.Kind() == "" {
		t.Fatalf("an event of kind %q has the key %q", e.Kind(), e.ProblemKey())
	}
	if strings.Contains(e.State().String()+e.Level().String(), "(") {
		t.Fatalf("state %v, level %v", e.State(), e.Level())
	}
	if e.State() == guance.StateRecovered && e.Level() != guance.LevelNone {
		t.Fatalf("a recovery has the level %v", e.Level())
	}
	if e.SiblingKey() == e.ProblemKey() {
		t.Fatal("an event is its own sibling")
	}
	if at := e.Time(); !at.IsZero() && (at.Year() < 1970 || at.Year() > 9999) {
		t.Fatalf("an event of the year %d", at.Year())
	}
	_, _ = e.Workspace()
	_, _, _, _, _ = e.Acknowledged(), e.Link(), e.MonitorIDs(), e.FaultStarted(), e.FaultLasted()
}

// checkRaw checks that the event's bytes are in a body of valid UTF-8.
func checkRaw(t *testing.T, e *guance.Event, body []byte) {
	t.Helper()
	if !utf8.Valid(body) || bytes.HasPrefix(body, []byte("\ufeff")) {
		return
	}
	if !e.Text && !holds(body, e.Raw) {
		t.Fatalf("Raw is %q, which is no part of the body", e.Raw)
	}
}

// holds reports whether part is in text, or in a JSON string inside it.
func holds(text, part []byte) bool {
	if bytes.Contains(text, part) {
		return true
	}
	for d := json.NewDecoder(bytes.NewReader(text)); ; {
		token, err := d.Token()
		if err != nil {
			return false
		}
		if inner, ok := token.(string); ok && len(inner) < len(text) && holds([]byte(inner), part) {
			return true
		}
	}
}

// checkKept checks what stores rely on: MarshalJSON returns JSON that decodes to exactly this
// event.
func checkKept(t *testing.T, e *guance.Event) {
	t.Helper()
	text, err := e.MarshalJSON()
	if err != nil || !json.Valid(text) {
		t.Fatalf("MarshalJSON() = %s, %v", text, err)
	}
	if !e.Text && !bytes.Equal(text, e.Raw) {
		t.Fatalf("MarshalJSON() = %s, want Raw, %s", text, e.Raw)
	}
	again, err := guance.Decode(text, "application/json")
	if err != nil || len(again) != 1 {
		t.Fatalf("%s decodes to %d events, %v, want 1", text, len(again), err)
	}
	if diff := cmp.Diff(e, again[0]); diff != "" {
		t.Fatalf("%s decodes to another event (-want +got):\n%s", text, diff)
	}
}

// checkRebuilt encodes the event from its fields. It leaves out objects without status and id,
// which are events as a whole, and Incidents, whose details may be at any depth.
func checkRebuilt(t *testing.T, e *guance.Event) {
	t.Helper()
	if e.Status == "" && e.EventID == "" || e.Incident != nil {
		return
	}
	rebuilt := *e
	rebuilt.Raw = nil
	text, err := rebuilt.MarshalJSON()
	if err != nil {
		t.Fatalf("MarshalJSON() = %v", err)
	}
	again, err := guance.Decode(text, "application/json")
	if err != nil || len(again) != 1 {
		t.Fatalf("%s decodes to %d events, %v, want 1", text, len(again), err)
	}
	if diff := cmp.Diff(e, again[0],
		cmpopts.IgnoreFields(guance.Event{}, "Raw", "Invalid")); diff != "" {
		t.Fatalf("%s decodes to another event (-want +got):\n%s", text, diff)
	}
}

// The limits of what Decode allocates for each byte of a body and for each event, including memory
// that is freed. An Event takes well over a kilobyte. Arrays of the shortest members take the most
// for each byte.
const (
	bytesPerByte  = 32
	bytesPerEvent = 4 << 10
	bytesPerBody  = 64 << 10
)

func checkMemory(t *testing.T, body []byte, contentType string) {
	t.Helper()
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	events, _ := guance.Decode(body, contentType)
	runtime.ReadMemStats(&after)
	got := after.TotalAlloc - before.TotalAlloc
	n := len(events)
	if n == 0 {
		n = guance.MaxEvents // a refused body may have had that many events
	}
	if raceEnabled {
		n += len(body) // each value of the body may take a parser
	}
	if limit := bytesPerByte*len(body) + bytesPerEvent*n + bytesPerBody; got > uint64(limit) {
		t.Errorf("Decode allocated %d bytes for a body of %d and %d events, want at most %d", got,
			len(body), len(events), limit)
	}
}

func FuzzDecodeMemory(f *testing.F) {
	addSeeds(f)
	f.Fuzz(checkMemory)
}

// Large bodies that take the most work for each byte.
func TestDecodeMemory(t *testing.T) {
	size := 1 << 20
	if raceEnabled {
		size = 1 << 14
	}
	fill := func(before, part, after string) []byte {
		return []byte(before + strings.Repeat(part+",", size/(len(part)+1)) + part + after)
	}
	names := func() []byte {
		var b bytes.Buffer
		for i := range size / 10 {
			b.WriteString(`,"` + string(rune('a'+i%26)) + string(rune('a'+i/26%26)) +
				string(rune('a'+i/676%26)) + string(rune('a'+i/17576%26)) + `":1`)
		}
		return append(append([]byte("{"), b.Bytes()[1:]...), '}')
	}
	for name, body := range map[string][]byte{
		"short members":         names(),
		"one member repeated":   fill("{", `"a":1`, "}"),
		"a status repeated":     fill("{", `"df_status":1`, "}"),
		"empty objects":         fill("[", "{}", "]"),
		"empty objects inside":  fill(`{"a":[`, "{}", "]}"),
		"objects inside":        fill(`{"a":[`, `{"a":1}`, "]}"),
		"nearly events inside":  fill(`{"a":[`, `{"df_status":null}`, "]}"),
		"events inside":         fill(`{"a":[`, `{"df_status":"ok"}`, "]}"),
		"empty objects dumped":  fill("[", `"{}"`, "]"),
		"objects inside dumped": fill(`{"a":[`, `"{}"`, "]}"),
		"arrays dumped twice":   fill(`{"a":"[`, `\"[1]\"`, `]"}`),
		"arrays inside":         fill(`{"a":[`, "[]", "]}"),
		"deep arrays inside": []byte(`{"a":` + strings.Repeat("[", 62) + string(fill("", "1", "")) +
			strings.Repeat("]", 62) + "}"),
		"tags":                  fill(`{"df_dimension_tags":{`, `"a":1`, "}}"),
		"labels":                fill(`{"df_label":[`, "1", "]}"),
		"labels in a string":    fill(`{"df_label":"[`, "1", `]"}`),
		"ranges":                fill(`{"alert_time_ranges":[`, "[1,1]", "]}"),
		"operands":              fill(`{"df_check_condition":{"operands":[`, "1", "]}}"),
		"bad UTF-8":             bytes.Repeat([]byte("\xff"), size),
		"bad UTF-8 in a string": fill(`{"a":"`, "\xff", `"}`),
		"quotes":                fill(`{"a":"`, `\"`, `"}`),
		"incident ids":          fill(`{"x":{"x":{"x":[`, `{"incident_uuid":"a"}`, `]}}}`),
	} {
		t.Run(name, func(t *testing.T) { checkMemory(t, body, "application/json") })
	}
}
