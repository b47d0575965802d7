package guance_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/guance-relay/guance-relay/guance"
)

// Where the details of an Issue or Incident come from if there are several places, or if some are
// empty.
func TestIncidentDetails(t *testing.T) {
	incident := func(more string) string { return `{"incident_uuid":"incident_1",` + more + `}` }
	for name, test := range map[string]struct {
		body string
		want guance.Incident
	}{
		"a time of nothing in front": {incident(`"statusTime":0,"updateAt":7`),
			guance.Incident{Time: unix(7, 0)}},
		"a time that is none in front": {incident(`"statusTime":"soon","updateAt":7`),
			guance.Incident{Time: unix(7, 0)}},
		"the time of its making": {incident(`"createAt":7`), guance.Incident{Time: unix(7, 0)}},
		"times by preference": {incident(`"createAt":5,"updateAt":6,"statusTime":7`),
			guance.Incident{Time: unix(7, 0)}},
		"a status of its own, unknown": {incident(`"incidentsStatus":" Paused "`),
			guance.Incident{Status: "paused"}},
		"an everyday status, unknown": {incident(`"status":"paused"`), guance.Incident{}},
		"an everyday status, known": {incident(`"status":" Working "`),
			guance.Incident{Status: "working"}},
		"beside a status of a monitor": {incident(`"df_status":"critical","incidentsStatus":"open"`),
			guance.Incident{Status: "open"}},
		"beside the id of a monitor": {incident(`"df_monitor_checker_id":"rul_1",` +
			`"incidentsStatus":"open"`), guance.Incident{Status: "open"}},
		"texts that are empty are absent": {incident(`"resourceIdentity":"","event_ref":"ref",` +
			`"incidentTitle":"","title":"t","level":""`), guance.Incident{Resource: "ref", Title: "t"}},
	} {
		t.Run(name, func(t *testing.T) {
			test.want.Kind, test.want.UUID = guance.KindIncident, "incident_1"
			if diff := cmp.Diff(&test.want, one(t, test.body, "").Incident); diff != "" {
				t.Errorf("%s (-want +got):\n%s", test.body, diff)
			}
		})
	}
}

// An Incident that is built from fields has the same details after it was encoded and decoded.
func TestBuiltIncidentIsWhole(t *testing.T) {
	whole := guance.Incident{
		Kind: guance.KindIncident, UUID: "incident_1", Status: "working", Resource: "ref",
		Severity: "system_level_1", Title: "t", Time: unix(1700000000, 500),
	}
	for name, leave := range map[string]func(*guance.Incident){
		"whole": func(*guance.Incident) {}, "no status": func(i *guance.Incident) { i.Status = "" },
		"no resource": func(i *guance.Incident) { i.Resource = "" },
		"no severity": func(i *guance.Incident) { i.Severity = "" },
		"no title":    func(i *guance.Incident) { i.Title = "" },
		"no time":     func(i *guance.Incident) { i.Time = time.Time{} },
		"an Issue":    func(i *guance.Incident) { i.Kind, i.UUID = guance.KindIssue, "issue_1" },
	} {
		t.Run(name, func(t *testing.T) {
			want := whole
			leave(&want)
			text, err := (&guance.Event{Incident: &want}).MarshalJSON()
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(&want, one(t, string(text), "").Incident); diff != "" {
				t.Errorf("%s (-want +got):\n%s", text, diff)
			}
		})
	}
}

// A typed field that was set later is written in place of the value in Extra.
func TestSetFieldsGoBeforeExtra(t *testing.T) {
	for name, test := range map[string]struct{ body, want string }{
		"tags": {`{"df_dimension_tags":5}`, `{"df_dimension_tags":"{\"host\":\"a\"}"}`},
		"status": {`{"df_dimension_tags":{"host":"a"},"df_status":5}`,
			`{"df_dimension_tags":"{\"host\":\"a\"}","df_status":5}`},
	} {
		t.Run(name, func(t *testing.T) {
			e := one(t, test.body, "")
			e.Raw, e.DimensionTags, e.DimensionTagsText = nil, map[string]string{"host": "a"}, ""
			if got, err := e.MarshalJSON(); err != nil || string(got) != test.want {
				t.Errorf("got %s, %v, want %s", got, err, test.want)
			}
		})
	}
}

// A name that is written with escapes is the same name.
func TestEscapedNames(t *testing.T) {
	for _, name := range []string{`df_status`, `\u0064f_status`, `df_statu\u0073`, `df\u005fstatus`,
		`\u0064\u0066\u005f\u0073\u0074\u0061\u0074\u0075\u0073`} {
		e := one(t, `{"`+name+`":"critical","df_status":"ok"}`, "")
		if e.Status != guance.StatusCritical || len(e.Invalid) == 0 {
			t.Errorf("%s: the status is %q, noted %q; want the first one, and a note", name, e.Status,
				e.Invalid)
		}
		if len(e.Extra) != 0 {
			t.Errorf("%s: Extra has %v", name, e.Extra)
		}
	}
}

// A text event that is built from fields is its title, and then its message after an empty line.
func TestBuiltTextIsWhole(t *testing.T) {
	for _, built := range []guance.Event{{Text: true, Title: "a"},
		{Text: true, Title: "a", Message: "b\nc"}} {
		text, err := built.MarshalJSON()
		if err != nil {
			t.Fatal(err)
		}
		if got := one(t, string(text), ""); !got.Text || got.Title != built.Title ||
			got.Message != built.Message {
			t.Errorf("%s is read as %q and %q, want %q and %q", text, got.Title, got.Message, built.Title,
				built.Message)
		}
	}
}
