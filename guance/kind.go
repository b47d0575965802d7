package guance

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/go-json-experiment/json/jsontext"
)

// A Kind is what sort of thing an event is, for display and for matching. It
// never decides about recovery: the documents contradict each other about the
// fields that it rests on.
type Kind string

// The kinds. Those that name an origin (SLO, security, ...) hold for faults and
// recoveries alike; ask [Event.State] which it is.
const (
	KindFault       Kind = "fault"       // a monitor found a problem
	KindRecovery    Kind = "recovery"    // a monitor's problem is over
	KindNoData      Kind = "nodata"      // about missing data, whatever its level, or data that came back
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
	KindTest        Kind = "test"        // a title or message that nothing vouches for
	KindUnknown     Kind = "unknown"     // not understood; Raw has it, Invalid has the reasons
)

// sources are the values of df_source that tell a kind. Older lists put
// everything under monitor, newer ones split it (event fields).
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

// Kind tells what sort of thing the event is. It is KindUnknown if neither the
// event's origin nor its status is understood; Invalid then says why. A broken
// rule of any other field is no reason: a fault whose link is odd is a fault,
// and who matches on KindFault must not lose it.
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
	case e.nameless() && (e.Title != "" || e.Message != ""):
		return KindTest
	}
	return KindUnknown
}

// nameless reports whether the event has no status, not even an odd one, and no
// id of an event or monitor.
func (e *Event) nameless() bool {
	_, odd := e.Extra["df_status"]
	return e.Status == "" && !odd && e.EventID == "" && e.CheckerID == ""
}

// origin returns the kind that the event's origin tells, or "".
func (e *Event) origin() Kind {
	if kind, ok := sources[e.Source]; ok {
		return kind
	}
	switch {
	case e.MonitorType == "slo" || e.Checker == "custom_slo":
		return KindSLO
	case e.MonitorType == "bot_obs" || len(e.EventReport) > len("{}"):
		return KindIntelligent
	case strings.HasPrefix(string(e.Status.normal()), "security_"):
		return KindSecurity
	case e.external():
		return KindExternal
	}
	return ""
}

// missingData reports whether the event is about missing data. A monitor can
// report that under any level (threshold monitor page), so the phase counts as
// well as the status.
func (e *Event) missingData() bool {
	if e.CheckerSub == "nodata" {
		return true
	}
	for _, s := range []Status{e.Status.normal(), e.SubStatus.normal()} {
		if s == StatusNoData || s == StatusNoDataOK || s == StatusNoDataAsOK {
			return true
		}
	}
	return false
}

// external reports whether the event came from another system through an
// "external event" monitor. No field says so. The monitor's type is
// OuterEventChecker in the OpenAPI, and the fields that the other system sent
// stand at top level: strings, never named like Guance's own (OpenAPI,
// checker/receive). The second sign is a guess that a new plain-named field of
// Guance's would mislead.
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

// foreign reports whether another system than Guance made the event, with its
// own clock.
func (e *Event) foreign() bool {
	return e.Incident == nil && !e.Text && (sources[e.Source] == KindCustom || e.external())
}
