package guance

import "strings"

// A Status is what df_status or df_sub_status says, as received. Methods
// compare it without regard to case and surrounding space.
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

// statuses says what each status means. The level page lists the first group,
// the event fields the second as values of df_status although the level page
// says that df_status is then ok: both are accepted. The third group is the
// level page's security chapter; the prefixed spellings are those of alert
// policies (the vendor's Terraform provider), accepted because nothing shows
// which one is sent.
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

// normal returns s as the tables spell it.
func (s Status) normal() Status {
	return Status(strings.ToLower(strings.TrimSpace(string(s))))
}

// Known reports whether s is a documented value of df_status.
func (s Status) Known() bool {
	_, known := statuses[s.normal()]
	return known
}

// State returns what s alone says; StateNeither if s is not known. An event's
// state rests on more than one status: see [Event.State].
func (s Status) State() State { return statuses[s.normal()].state }

// Level returns the level that s names; LevelNone for a recovery and for a
// status that is not known.
func (s Status) Level() Level { return statuses[s.normal()].level }
