package guance

import (
	"bytes"
	"encoding/json"
	"slices"
	"strings"
	"time"

	"github.com/go-json-experiment/json/jsontext"
)

// An Incident is what an Issue (异常追踪) or Incident (故障中心) body says. No
// document shows these bodies; the vendor's own on-call script searches them
// for the names that this type is filled from, and so does [Decode].
type Incident struct {
	Kind Kind   // KindIssue or KindIncident
	UUID string // "issue_..." or "incident_..."
	// Status is open, working, resolved or closed; Issues have pending too,
	// and API answers a number, which is not documented and not taken.
	Status string
	// Resource is the identity of the monitor event behind it, equal to that
	// event's EventRef, which is how it joins the event's problem.
	Resource string
	Severity string    // such as system_level_0 for P0
	Title    string    // its title or name
	Time     time.Time // when its status changed, else when it was updated
}

// The names under which the vendor's script looks, in order of preference.
var (
	incidentIDs    = []string{"incident_uuid", "incidentUUID", "incidentUuid", "incident_id", "incidentId"}
	issueIDs       = []string{"issue_uuid", "issueUUID", "issueUuid", "issue_id", "issueId"}
	resourceNames  = []string{"resourceIdentity", "resource_identity", "event_ref", "eventRef", "df_monitor_checker_event_ref"}
	incidentStatus = []string{"incidentsStatus", "incidentStatus", "incident_status", "issueStatus", "issue_status", "status"}
	incidentLevel  = []string{"level"}
	incidentTitle  = []string{"title", "incidentTitle", "issueTitle"}
	incidentTime   = []string{"statusTime", "updateAt", "createAt"}
)

// The prefixes of ids, as JSON.
var (
	incidentPrefix = []byte(`"incident_`)
	issuePrefix    = []byte(`"issue_`)
)

// incidentStates says what the status of an Issue or Incident means for its
// problem (Incident pages; Issue page; release notes, 2025-02-19).
var incidentStates = map[string]State{
	"open":     StateProblem,
	"pending":  StateNeither,
	"working":  StateNeither,
	"resolved": StateRecovered,
	"closed":   StateRecovered,
}

// incidentLevels reads the default priorities P0 to P2; what is below, or of
// the workspace's own making, names no level. No document relates priorities
// to event levels: P0 as critical is this package's reading.
var incidentLevels = map[string]Level{
	"system_level_0": LevelCritical,
	"system_level_1": LevelError,
	"system_level_2": LevelWarning,
}

func (i *Incident) state() State  { return incidentStates[i.Status] }
func (i *Incident) working() bool { return i.Status == "working" }

func (i *Incident) level() Level {
	if i.state() == StateRecovered {
		return LevelNone
	}
	if level, ok := incidentLevels[i.Severity]; ok {
		return level
	}
	return Status(i.Severity).Level()
}

// incidentKind tells what an id under a name belongs to, or "". A plain uuid,
// and any name of an Issue, needs the prefix: "issue" is an everyday word.
func incidentKind(name string, id jsontext.Value) Kind {
	switch {
	case len(id) > len(`""`) && slices.Contains(incidentIDs, name), name == "uuid" && bytes.HasPrefix(id, incidentPrefix):
		return KindIncident
	case (name == "uuid" || slices.Contains(issueIDs, name)) && bytes.HasPrefix(id, issuePrefix):
		return KindIssue
	}
	return ""
}

// adopt makes e, an object of the body, the Issue or Incident that is found at
// any depth in it, if there is one. The id stands in home, a part of e: its
// name is a title, where elsewhere a name may be a person's.
func (e *Event) adopt(home *Event) {
	e.Incident = findIncident(e.Raw)
	if e.Incident == nil {
		return
	}
	if name := jsontext.Value(home.Extra["name"]); e.Incident.Title == "" && name.Kind() == '"' {
		e.Incident.Title = unquote(name)
	}
	if e.Title == "" {
		e.Title = e.Incident.Title
	}
}

// findIncident searches a valid JSON text at any depth, in one pass. It returns
// nil if there is no id of an Issue or Incident.
func findIncident(text []byte) *Incident {
	var i Incident
	rank := map[*string]int{}
	// take keeps the value whose name is preferred, and of equals the first.
	take := func(to *string, names []string, name, value string) {
		n := slices.Index(names, name)
		if old, taken := rank[to]; n >= 0 && value != "" && (!taken || n < old) {
			*to, rank[to] = value, n
		}
	}
	var when string
	for name, v := range scalars(text).all {
		s := Value(v).String()
		if v.Kind() == '"' {
			switch kind := incidentKind(name, v); {
			case kind == KindIncident && i.Kind != KindIncident, kind == KindIssue && i.Kind == "":
				i.Kind, i.UUID = kind, s
			}
			if status := strings.ToLower(strings.TrimSpace(s)); name != "status" || incidentStates[status] != 0 || status == "working" {
				take(&i.Status, incidentStatus, name, status)
			}
			take(&i.Resource, resourceNames, name, s)
			take(&i.Severity, incidentLevel, name, s)
			take(&i.Title, incidentTitle, name, s)
		}
		if slices.Contains(incidentTime, name) {
			take(&when, incidentTime, name, string(v))
		}
	}
	if i.Kind == "" {
		return nil
	}
	i.Time, _ = parseInstant(jsontext.Value(when))
	return &i
}

// append writes the members that findIncident finds again, comma-ended, except
// those that Extra has.
func (i *Incident) append(dst []byte, extra map[string]json.RawMessage) []byte {
	id := "incident_uuid"
	if i.Kind == KindIssue {
		id = "issue_uuid"
	}
	for _, member := range [][2]string{
		{id, i.UUID}, {"incidentsStatus", i.Status}, {"level", i.Severity},
		{"resourceIdentity", i.Resource}, {"title", i.Title},
	} {
		if _, ok := extra[member[0]]; ok || member[1] == "" {
			continue
		}
		dst = append(quote(append(quote(dst, member[0]), ':'), member[1]), ',')
	}
	if _, ok := extra["statusTime"]; !ok && !i.Time.IsZero() {
		dst = append(appendInstant(append(dst, `"statusTime":`...), i.Time), ',')
	}
	return dst
}
