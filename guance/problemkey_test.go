package guance_test

import (
	"crypto/md5"
	"encoding/hex"
	"strings"
	"testing"

	"github.com/guance-relay/guance-relay/guance"
)

func md5Hex(text string) string {
	sum := md5.Sum([]byte(text))
	return hex.EncodeToString(sum[:])
}

// The sample is the only public body with both the reference and the values it is made of.
func TestProblemKeyFormulaOnRealSample(t *testing.T) {
	e := one(t, string(sample(t, "webhook-monitor-critical.json")), "")
	const want = "13713ac25e993a37d2ca5899e2a7bba6"
	if got := e.ProblemKey(); got != want {
		t.Errorf("ProblemKey() = %s, want the reference sent, %s", got, want)
	}
	e.EventRef = ""
	if got := e.ProblemKey(); got != want {
		t.Errorf("ProblemKey() without the reference = %s, want the same, %s", got, want)
	}
}

func TestProblemKeyOrder(t *testing.T) {
	const (
		ref      = `"df_monitor_checker_event_ref":"13713ac25e993a37d2ca5899e2a7bba6"`
		checker  = `"df_monitor_checker_id":"rul_1"`
		tags     = `"df_dimension_tags":"{\"b\": 1, \"a\":\"x\"}"`
		fault    = `"df_fault_id":"event-0"`
		resource = `"incident_uuid":"incident_1","resourceIdentity":"res"`
		id       = `"df_event_id":"event-9"`
	)
	for _, test := range []struct {
		name, body, want string
	}{
		{"reference", join(id, ref, checker, fault, resource), "13713ac25e993a37d2ca5899e2a7bba6"},
		{"formula", join(id, checker, tags, fault, resource), md5Hex(`{"b": 1, "a":"x"}~rul_1~check`)},
		{"formula, phase", join(id, checker, tags, `"df_monitor_checker_sub":"nodata"`),
			md5Hex(`{"b": 1, "a":"x"}~rul_1~nodata`)},
		{"formula, no tags", join(id, checker), md5Hex(`~rul_1~check`)},
		{"formula, tags are an object", join(id, checker, `"df_dimension_tags":{ "a" : "x" }`),
			md5Hex(`{ "a" : "x" }~rul_1~check`)},
		{"formula, tags are no object", join(id, checker, `"df_dimension_tags":"host=a"`),
			md5Hex(`host=a~rul_1~check`)},
		{"formula, tags are a list", join(id, checker, `"df_dimension_tags":["host:a"]`),
			md5Hex(`["host:a"]~rul_1~check`)},
		{"fault round", join(id, fault), "event-0"},
		{"resource of an incident", join(resource), "res"},
		{"incident", join(`"incident_uuid":"incident_1"`), "incident_1"},
		{"event id", join(id, `"df_status":"info"`), "event-9"},
	} {
		t.Run(test.name, func(t *testing.T) {
			if got := one(t, test.body, "").ProblemKey(); got != test.want {
				t.Errorf("ProblemKey() = %s, want %s", got, test.want)
			}
		})
	}
}

// Custom events have no reference: their common fields give them the same key.
func TestProblemKeyOfWhatNamesNothing(t *testing.T) {
	fault := one(t, `{"df_status":"critical","df_source":"custom","df_title":"x",`+
		`"df_event_id":"event-1","workspace_uuid":"w","timestamp":1}`, "")
	over := one(t, `{"df_status":"ok","df_source":"custom","df_title":"x","df_event_id":"event-2",`+
		`"df_workspace_uuid":"w","df_message":"m"}`, "")
	if fault.ProblemKey() != over.ProblemKey() {
		t.Errorf("a fault and its recovery have keys %s and %s, want one", fault.ProblemKey(),
			over.ProblemKey())
	}
	for _, body := range []string{
		`{"df_status":"critical","df_source":"custom","df_title":"y","df_workspace_uuid":"w"}`,
		`{"df_status":"critical","df_source":"user","df_title":"x","df_workspace_uuid":"w"}`,
		`{"df_status":"critical","df_source":"custom","df_title":"x","df_workspace_uuid":"v"}`,
		`{"df_status":"critical","df_source":"custom","df_title":"x","df_workspace_uuid":"w",` +
			`"df_dimension_tags":"{\"a\":\"b\"}"}`,
	} {
		if got := one(t, body, "").ProblemKey(); got == fault.ProblemKey() {
			t.Errorf("%s has the key of another problem", body)
		}
	}
	keys := map[string]string{}
	for _, body := range []string{`{}`, `null`, `""`, `"a"`, `{"df_title":"a"}`, `{"a":1}`} {
		key := one(t, body, "").ProblemKey()
		if key == "" || keys[key] != "" {
			t.Errorf("ProblemKey of %s = %q, want one of its own, not that of %s", body, key, keys[key])
		}
		keys[key] = body
		if again := one(t, body, "").ProblemKey(); again != key {
			t.Errorf("ProblemKey of %s = %q and %q", body, key, again)
		}
	}
	if built := (&guance.Event{Title: "a"}); built.ProblemKey() == "" {
		t.Error("ProblemKey() of an event built from fields is empty")
	}
}

// None of these fields may change the key: they change during one fault.
func TestProblemKeyIgnoresWhatChanges(t *testing.T) {
	body := string(sample(t, "webhook-monitor-critical.json"))
	body = strings.Replace(body, `"df_monitor_checker_event_ref"`, `"no_ref"`, 1)
	want := one(t, body, "").ProblemKey()
	for _, change := range []string{
		`"df_status": "warning"`, `"df_sub_status": "ok"`, `"df_title": "other"`, `"df_message": ` +
			`"other"`, `"Result": 1`,
		`"df_monitor_checker_value": "1"`, `"df_monitor_id": "monitor_a;monitor_b"`, `"timestamp": 1`,
		`"date": 1`, `"df_event_id": "event-2"`,
	} {
		changed := strings.Replace(body, "{", "{"+change+",", 1) // the first of two counts
		if got := one(t, changed, "").ProblemKey(); got != want {
			t.Errorf("with %s the key is %s, want %s", change, got, want)
		}
	}
}

func TestSiblingKey(t *testing.T) {
	check, nodata := md5Hex(`{"host":"a"}~rul_1~check`), md5Hex(`{"host":"a"}~rul_1~nodata`)
	const monitor = `"df_monitor_checker_id":"rul_1","df_dimension_tags":"{\"host\":\"a\"}"`
	ref := func(key string) string { return `"df_monitor_checker_event_ref":"` + key + `"` }
	for _, test := range []struct {
		name, body, want string
	}{
		{"missing data ends a threshold fault",
			join(monitor, `"df_status":"ok","df_sub_status":"nodata_as_ok",`+
				`"df_monitor_checker_sub":"nodata"`), check},
		{"the same as a status",
			join(monitor, `"df_status":"nodata_as_ok","df_monitor_checker_sub":"nodata"`), check},
		{"by hand", join(monitor,
			`"df_status":"ok","df_sub_status":"manual_ok","df_monitor_checker_sub":"check"`), nodata},
		{"with the reference that the formula gives",
			join(monitor, ref(nodata),
				`"df_status":"ok","df_sub_status":"nodata_as_ok","df_monitor_checker_sub":"nodata"`), check},
		{"with another reference",
			join(monitor, ref(check),
				`"df_status":"ok","df_sub_status":"nodata_as_ok","df_monitor_checker_sub":"nodata"`), ""},
		{"ordinary recovery", join(monitor, `"df_status":"ok","df_sub_status":"ok"`), ""},
		{"data came back", join(monitor,
			`"df_status":"ok","df_sub_status":"nodata_ok","df_monitor_checker_sub":"nodata"`), ""},
		{"fault", join(monitor, `"df_status":"critical"`), ""},
		{"no monitor", `{"df_status":"manual_ok"}`, ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			if got := one(t, test.body, "").SiblingKey(); got != test.want {
				t.Errorf("SiblingKey() = %q, want %q", got, test.want)
			}
		})
	}
}

func join(members ...string) string { return "{" + strings.Join(members, ",") + "}" }
