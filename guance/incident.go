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

// An Incident is the content of an Issue (异常追踪) or Incident (故障中心) body. No document shows these
// bodies. The vendor's own on-call script searches them for the names that this type is filled
// from, and so does [Decode].
type Incident struct {
	Kind Kind   // KindIssue or KindIncident
	UUID string // "issue_..." or "incident_..."
	// Status is open, working, resolved or closed; for Issues also pending. The number that the
	// OpenAPI has for the status of an Issue is translated.
	Status string
	// Resource is the identity of the monitor event behind it. It is equal to that event's EventRef,
	// so both have the same problem key.
	Resource string
	// Severity is, for example, system_level_0 for P0. The number that the OpenAPI of 2023 had for it,
	// 0 for P0, is translated.
	Severity string
	Title    string    // its title or name
	Time     time.Time // when its status changed, else when it was updated
}

// The names of ids that the vendor's script uses, and the same for Issues.
var (
	incidentIDs = []string{"incident_uuid", "incidentUUID", "incidentUuid", "incident_id",
		"incidentId"}
	issueIDs = []string{"issue_uuid", "issueUUID", "issueUuid", "issue_id", "issueId"}
)

// names are the names of one detail, the preferred ones first.
type names struct {
	own   []string // special names: valid anywhere, best near the id
	plain []string // everyday words: valid only in the objects around the id
}

// The names of the details in the vendor's script and API, and the same for Issues.
var (
	resourceNames = names{own: []string{"resourceIdentity", "resource_identity", "event_ref",
		"eventRef", "df_monitor_checker_event_ref"}}
	statusNames = names{own: []string{"incidentsStatus", "incidentStatus", "incident_status",
		"issueStatus", "issue_status"}, plain: []string{"status", "statusType"}}
	severityNames = names{plain: []string{"level"}}
	titleNames    = names{own: []string{"incidentTitle", "issueTitle"},
		plain: []string{"title", "name"}}
	timeNames = names{plain: []string{"statusTime", "updateAt", "createAt"}}
)

// The prefixes of ids, as JSON.
var (
	incidentPrefix = []byte(`"incident_`)
	issuePrefix    = []byte(`"issue_`)
)

// incidentStates is what the status of an Issue or Incident means for its problem (Incident pages;
// Issue page; release notes, 2025-02-19).
var incidentStates = map[string]State{
	"open":     StateProblem,
	"pending":  StateNeither,
	"working":  StateNeither,
	"resolved": StateRecovered,
	"closed":   StateRecovered,
}

// issueStatuses translates the numbers of the status of an Issue (OpenAPI, list of Issues).
var issueStatuses = map[string]string{
	"10": "open",
	"15": "working",
	"20": "resolved",
	"25": "closed",
	"30": "pending",
}

// incidentLevels translates the default priorities P0 to P2. Lower ones, and those that a workspace
// defines, have no level. No document relates priorities to event levels; that P0 is critical is
// this package's choice.
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

// incidentKind returns what has the given id, or "". An id under the name uuid, or under a name of
// Issues, needs its prefix, since these are everyday words.
func incidentKind(name string, id jsontext.Value) Kind {
	switch named := slices.Contains(incidentIDs, name); {
	case named && (len(id) > len(`""`) && id.Kind() == '"' || id.Kind() == '0'), name == "uuid" &&
		bytes.HasPrefix(id, incidentPrefix):
		return KindIncident
	case (name == "uuid" || slices.Contains(issueIDs, name)) && bytes.HasPrefix(id, issuePrefix):
		return KindIssue
	}
	return ""
}

// setIncident makes e the Issue or Incident whose id stands in it at any depth, if there is one.
func (e *Event) setIncident() {
	e.Incident = findIncident(e.Raw)
	if e.Incident != nil && e.Title == "" {
		e.Title = e.Incident.Title
	}
}

// findIncident searches valid JSON at any depth: first for an id, then for what belongs to it. An
// Incident comes before an Issue, and the first before the others. It returns nil if there is no
// id.
func findIncident(text []byte) *Incident {
	var i Incident
	var parents []int
	for s := range leaves(text).all {
		switch kind := incidentKind(s.name, s.value); {
		case kind == KindIncident && i.Kind != KindIncident, kind == KindIssue && i.Kind == "":
			i.Kind, i.UUID, parents = kind, Value(s.value).String(), slices.Clone(s.parents)
		}
	}
	if i.Kind != "" {
		i.fill(text, parents)
		return &i
	}
	return nil
}

// fill fills in the details of an Incident. parents are the objects around its id.
func (i *Incident) fill(text []byte, parents []int) {
	ranks := map[*string]int{}
	take := func(to *string, accepted names, s leaf, value string) {
		rank, counts := accepted.rank(s, parents)
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
			// farther away it may be the name of a person
			if s.name != "name" || slices.Equal(s.parents, parents) {
				take(&i.Title, titleNames, s, value)
			}
			status := strings.ToLower(strings.TrimSpace(value))
			if _, known := incidentStates[status]; known || s.name != "status" {
				take(&i.Status, statusNames, s, status)
			}
		}
		if t, ok := parseUnixTime(s.value); ok && !t.IsZero() {
			take(&when, timeNames, s, string(s.value))
		}
	}
	i.Time, _ = parseUnixTime(jsontext.Value(when))
}

// priority translates a priority that is a number, or a string with one, to its name in later
// versions: 0 is system_level_0 (OpenAPI, issue/add and issue/list of 2023).
func priority(v jsontext.Value) (name string, numbered bool) {
	text := strings.TrimSpace(Value(v).String())
	n, err := strconv.ParseUint(text, 10, 8)
	if err != nil {
		return "", false
	}
	return "system_level_" + strconv.FormatUint(n, 10), true
}

// rank reports whether a member is one of the names for an id inside the objects parents. A lower
// rank is better: first by the order of names, then by the number of levels between the member and
// the id. Members that are not around the id come last.
func (n names) rank(s leaf, parents []int) (rank int, counts bool) {
	out := len(parents) - len(s.parents)
	near := out >= 0 && slices.Equal(s.parents, parents[:len(s.parents)])
	if !near {
		out = MaxDepth
	}
	if own := slices.Index(n.own, s.name); own >= 0 {
		return own*(MaxDepth+1) + out, true
	}
	plain := slices.Index(n.plain, s.name)
	return (len(n.own)+plain)*(MaxDepth+1) + out, near && plain >= 0
}

// append writes the members that findIncident reads, except those that are in Extra.
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
		dst = append(appendUnixTime(append(dst, `"statusTime":`...), i.Time), ',')
	}
	return dst
}
