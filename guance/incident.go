package guance

import (
	"bytes"
	"encoding/json"
	"slices"
	"strconv"
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
	// Status is open, working, resolved or closed, for Issues also pending.
	// Issues of the OpenAPI have a number, which is translated.
	Status string
	// Resource is the identity of the monitor event behind it, equal to that
	// event's EventRef, which is how it joins the event's problem.
	Resource string
	// Severity is such as system_level_0 for P0. The number that the OpenAPI of
	// 2023 had for it, 0 for P0, is translated.
	Severity string
	Title    string    // its title or name
	Time     time.Time // when its status changed, else when it was updated
}

// The names of ids that the vendor's script knows, and their like for Issues.
var (
	incidentIDs = []string{"incident_uuid", "incidentUUID", "incidentUuid", "incident_id", "incidentId"}
	issueIDs    = []string{"issue_uuid", "issueUUID", "issueUuid", "issue_id", "issueId"}
)

// names are those under which a detail is looked for, in order of preference.
type names struct {
	own   []string // nobody else's: they count anywhere, best near the id
	plain []string // everyday words: they count in the objects around the id, nearest first
}

// The details' names: those of the vendor's script and of its API, and their
// like for Issues.
var (
	resourceNames = names{own: []string{"resourceIdentity", "resource_identity", "event_ref", "eventRef", "df_monitor_checker_event_ref"}}
	statusNames   = names{own: []string{"incidentsStatus", "incidentStatus", "incident_status", "issueStatus", "issue_status"}, plain: []string{"status", "statusType"}}
	severityNames = names{plain: []string{"level"}}
	titleNames    = names{own: []string{"incidentTitle", "issueTitle"}, plain: []string{"title", "name"}}
	timeNames     = names{plain: []string{"statusTime", "updateAt", "createAt"}}
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

// issueStatuses are the numbers that the OpenAPI has for the status of an Issue
// (OpenAPI, list of Issues).
var issueStatuses = map[string]string{
	"10": "open",
	"15": "working",
	"20": "resolved",
	"25": "closed",
	"30": "pending",
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
	switch named := slices.Contains(incidentIDs, name); {
	case named && (len(id) > len(`""`) && id.Kind() == '"' || id.Kind() == '0'), name == "uuid" && bytes.HasPrefix(id, incidentPrefix):
		return KindIncident
	case (name == "uuid" || slices.Contains(issueIDs, name)) && bytes.HasPrefix(id, issuePrefix):
		return KindIssue
	}
	return ""
}

// adopt makes e the Issue or Incident that is found at any depth in it, if
// there is one.
func (e *Event) adopt() {
	e.Incident = findIncident(e.Raw)
	if e.Incident != nil && e.Title == "" {
		e.Title = e.Incident.Title
	}
}

// findIncident searches a valid JSON text at any depth: first for an id, then
// for what belongs to it. It returns nil if there is no id of an Issue or
// Incident; an Incident is preferred, then what comes first.
func findIncident(text []byte) *Incident {
	var i Incident
	var around []int
	for s := range leaves(text).all {
		switch kind := incidentKind(s.name, s.value); {
		case kind == KindIncident && i.Kind != KindIncident, kind == KindIssue && i.Kind == "":
			i.Kind, i.UUID, around = kind, Value(s.value).String(), slices.Clone(s.around)
		}
	}
	if i.Kind != "" {
		i.describe(text, around)
		return &i
	}
	return nil
}

// describe fills in the details of an Incident whose id stands inside the
// objects around.
func (i *Incident) describe(text []byte, around []int) {
	ranks := map[*string]int{}
	take := func(to *string, accepted names, s leaf, value string) {
		rank, counts := accepted.rank(s, around)
		if old, taken := ranks[to]; counts && value != "" && (!taken || rank < old) {
			*to, ranks[to] = value, rank
		}
	}
	var when string
	for s := range leaves(text).all {
		value := Value(s.value).String()
		if level, numbered := priority(s.value); numbered {
			take(&i.Severity, severityNames, s, level)
		}
		if s.name == "statusType" {
			take(&i.Status, statusNames, s, issueStatuses[value])
		} else if s.value.Kind() == '"' {
			take(&i.Resource, resourceNames, s, value)
			if _, numbered := priority(s.value); !numbered {
				take(&i.Severity, severityNames, s, value)
			}
			if s.name != "name" || slices.Equal(s.around, around) { // farther out it may be a person's
				take(&i.Title, titleNames, s, value)
			}
			status := strings.ToLower(strings.TrimSpace(value))
			if _, known := incidentStates[status]; known || s.name != "status" {
				take(&i.Status, statusNames, s, status)
			}
		}
		if t, ok := parseInstant(s.value); ok && !t.IsZero() {
			take(&when, timeNames, s, string(s.value))
		}
	}
	i.Time, _ = parseInstant(jsontext.Value(when))
}

// priority translates a priority that is a number, or a string of one, to the
// name that later versions have for it: 0 is system_level_0 (OpenAPI, issue/add
// and issue/list of 2023).
func priority(v jsontext.Value) (name string, numbered bool) {
	text := strings.TrimSpace(Value(v).String())
	n, err := strconv.ParseUint(text, 10, 8)
	if err != nil {
		return "", false
	}
	return "system_level_" + strconv.FormatUint(n, 10), true
}

// rank tells whether a member counts as one of the names for an id inside the
// objects around, and how much others are preferred to it: by name, then by how
// far out from the id they stand, then, for all else in the body, by order.
func (n names) rank(s leaf, around []int) (rank int, counts bool) {
	out := len(around) - len(s.around)
	near := out >= 0 && slices.Equal(s.around, around[:len(s.around)])
	if !near {
		out = MaxDepth
	}
	if own := slices.Index(n.own, s.name); own >= 0 {
		return own*(MaxDepth+1) + out, true
	}
	plain := slices.Index(n.plain, s.name)
	return (len(n.own)+plain)*(MaxDepth+1) + out, near && plain >= 0
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
