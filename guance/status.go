package guance

import "strings"

// A Status is a value of df_status or df_sub_status, as received. Methods ignore case and white
// space around it.
type Status string

// The documented statuses.
const (
	StatusFatal    Status = "fatal"
	StatusCritical Status = "critical" // 紧急
	StatusError    Status = "error"    // 重要
	StatusWarning  Status = "warning"  // 警告
	StatusNoData   Status = "nodata"   // 数据断档: data stopped
	StatusInfo     Status = "info"     // the check ran and met no rule

	StatusOK         Status = "ok"           // recovered
	StatusNoDataOK   Status = "nodata_ok"    // data came back
	StatusNoDataAsOK Status = "nodata_as_ok" // missing data counts as recovered
	StatusManualOK   Status = "manual_ok"    // recovered by a person

	StatusHigh   Status = "high"   // security monitoring
	StatusMedium Status = "medium" // security monitoring
	StatusLow    Status = "low"    // security monitoring

	StatusFault Status = "fault" // of df_fault_status only, with ok
)

// statuses says what each status means. The first group is from the level page. The second is from
// the event fields, which list these as values of df_status; the level page says that df_status is
// then ok. The third is from the level page's chapter on security; the names with a prefix are
// those of alert policies (Terraform provider). It is not known which of the two names is sent, so
// both are accepted.
var statuses = map[Status]struct {
	state State
	level Level
}{
	StatusFatal:    {StateProblem, LevelFatal},
	StatusCritical: {StateProblem, LevelCritical},
	StatusError:    {StateProblem, LevelError},
	StatusWarning:  {StateProblem, LevelWarning},
	StatusNoData:   {StateProblem, LevelNoData},
	StatusInfo:     {StateNeither, LevelInfo},

	StatusOK:         {StateRecovered, LevelNone},
	StatusNoDataOK:   {StateRecovered, LevelNone},
	StatusNoDataAsOK: {StateRecovered, LevelNone},
	StatusManualOK:   {StateRecovered, LevelNone},

	StatusHigh:          {StateProblem, LevelError},
	StatusMedium:        {StateProblem, LevelWarning},
	StatusLow:           {StateProblem, LevelInfo},
	"security_critical": {StateProblem, LevelCritical},
	"security_high":     {StateProblem, LevelError},
	"security_medium":   {StateProblem, LevelWarning},
	"security_low":      {StateProblem, LevelInfo},
	"security_info":     {StateNeither, LevelInfo},
}

// normalized returns s without white space, in lower case.
func (s Status) normalized() Status {
	return Status(strings.ToLower(strings.TrimSpace(string(s))))
}

// Known reports whether s is a documented value of df_status.
func (s Status) Known() bool {
	_, known := statuses[s.normalized()]
	return known
}

// State returns what s alone says; StateNeither if s is not known. [Event.State] looks at more than
// one status.
func (s Status) State() State { return statuses[s.normalized()].state }

// Level returns the level that s names; LevelNone for a recovery and for an unknown status.
func (s Status) Level() Level { return statuses[s.normalized()].level }
