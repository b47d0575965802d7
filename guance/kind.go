package guance

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/go-json-experiment/json/jsontext"
)

// A Kind is what sort of event it is, for display and for matching. It does not say whether a
// problem has recovered: the documents contradict each other about the fields that it is made from.
type Kind string

// The kinds. Those that name an origin (SLO, security, ...) are for faults and recoveries alike;
// [Event.State] tells which it is.
const (
	KindFault    Kind = "fault"    // a monitor found a problem
	KindRecovery Kind = "recovery" // a monitor's problem is over
	// about missing data, whatever its level, or data that came back
	KindNoData      Kind = "nodata"
	KindInfo        Kind = "info"        // a check ran and met no rule
	KindSLO         Kind = "slo"         // a service level objective
	KindIntelligent Kind = "intelligent" // intelligent monitoring, or an intelligent inspection
	KindSecurity    Kind = "security"    // security monitoring
	KindExternal    Kind = "external"    // pushed to Guance by another system
	KindCustom      Kind = "custom"      // created through the OpenAPI
	KindChange      Kind = "change"      // a Kubernetes change
	KindAudit       Kind = "audit"       // an audit or system record
	KindIssue       Kind = "issue"       // an Issue (异常追踪)
	KindIncident    Kind = "incident"    // an Incident (故障中心)
	KindText        Kind = "text"        // the old text/plain form: a title and a message
	KindTest        Kind = "test"        // a title or message without status and ids
	KindUnknown     Kind = "unknown"     // not understood; Raw has it, Invalid has the reasons
)

// Kinds returns all kinds.
func Kinds() []Kind {
	return []Kind{
		KindFault, KindRecovery, KindNoData, KindInfo, KindSLO, KindIntelligent, KindSecurity,
		KindExternal, KindCustom, KindChange, KindAudit, KindIssue, KindIncident, KindText, KindTest,
		KindUnknown,
	}
}

// sources are the values of df_source that determine a kind. Older lists put everything under
// monitor; newer ones split it (event fields).
var sources = map[string]Kind{
	"slo":          KindSLO,
	"smartMonitor": KindIntelligent,
	"security":     KindSecurity,
	"custom":       KindCustom,
	"user":         KindCustom,
	"change":       KindChange,
	"audit":        KindAudit,
	"system":       KindAudit,
}

// Kind returns what sort of event it is. It is KindUnknown if neither the origin nor the status is
// known; Invalid then says why. A broken rule of another field does not matter: a fault with an odd
// link is still KindFault.
func (e *Event) Kind() Kind {
	if e.Incident != nil {
		return e.Incident.Kind
	}
	if e.Text {
		return KindText
	}
	if kind := e.origin(); kind != "" {
		return kind
	}
	state := e.State()
	switch {
	case e.missingData():
		return KindNoData
	case state == StateRecovered:
		return KindRecovery
	case state == StateProblem:
		return KindFault
	case e.Status.Known():
		return KindInfo
	case e.hasNoID() && (e.Title != "" || e.Message != ""):
		return KindTest
	}
	return KindUnknown
}

// hasNoID reports whether the event has no status, not even an invalid one, and no id of an event
// or monitor.
func (e *Event) hasNoID() bool {
	_, odd := e.Extra["df_status"]
	return e.Status == "" && !odd && e.EventID == "" && e.CheckerID == ""
}

// origin returns the kind by the origin of the event, or "".
func (e *Event) origin() Kind {
	if kind, ok := sources[e.Source]; ok {
		return kind
	}
	switch {
	case e.MonitorType == "slo" || e.Checker == "custom_slo":
		return KindSLO
	case e.MonitorType == "bot_obs" || len(e.EventReport) > len("{}"):
		return KindIntelligent
	case strings.HasPrefix(string(e.Status.normalized()), "security_"):
		return KindSecurity
	case e.external():
		return KindExternal
	}
	return ""
}

// missingData reports whether the event is about missing data. A monitor can report that with any
// level (threshold monitor page), so the phase counts too.
func (e *Event) missingData() bool {
	if e.CheckerSub == "nodata" {
		return true
	}
	for _, s := range []Status{e.Status.normalized(), e.SubStatus.normalized()} {
		if s == StatusNoData || s == StatusNoDataOK || s == StatusNoDataAsOK {
			return true
		}
	}
	return false
}

// external reports whether the event came from another system through an "external event" monitor.
// No field says so. There are two signs. The monitor's type is OuterEventChecker in the OpenAPI.
// And the fields that the other system sent are at top level: strings, whose names are never like
// Guance's (OpenAPI, checker/receive). The second sign is a guess: a new field of Guance's with a
// plain name would be wrong here.
func (e *Event) external() bool {
	for _, name := range []string{e.Checker, e.MonitorType} {
		if strings.Contains(strings.ReplaceAll(strings.ToLower(name), "_", ""), "outerevent") {
			return true
		}
	}
	if e.CheckerID == "" {
		return false
	}
	for name, value := range e.Extra {
		_, dimension := e.DimensionTags[name]
		_, documented := fieldIndex[name]
		initial, _ := utf8.DecodeRuneInString(name)
		if !dimension && !documented && unicode.IsLetter(initial) && !strings.HasPrefix(name, "df_") &&
			jsontext.Value(value).Kind() == jsontext.KindString {
			return true
		}
	}
	return false
}

// fromOtherSystem reports whether another system made the event, with its own clock.
func (e *Event) fromOtherSystem() bool {
	return e.Incident == nil && !e.Text && (sources[e.Source] == KindCustom || e.external())
}
