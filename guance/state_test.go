package guance_test

import (
	"fmt"
	"testing"

	"github.com/guance-relay/guance-relay/guance"
)

// Every row is a statement of the documents, or a doubtful case and the choice that was made, which
// the last column names.
func TestState(t *testing.T) {
	const (
		problem   = guance.StateProblem
		recovered = guance.StateRecovered
		neither   = guance.StateNeither
	)
	for _, test := range []struct {
		status, sub, fault guance.Status
		state              guance.State
		level              guance.Level
		source             string
	}{
		{"fatal", "", "", problem, guance.LevelFatal, "level page, newest"},
		{"critical", "", "", problem, guance.LevelCritical, "level page"},
		{"error", "", "", problem, guance.LevelError, "level page"},
		{"warning", "", "", problem, guance.LevelWarning, "level page"},
		{"nodata", "", "", problem, guance.LevelNoData, "level page"},
		{"info", "", "", neither, guance.LevelInfo, "level page: the check met no rule"},
		{"ok", "", "", recovered, guance.LevelNone, "level page"},
		{"nodata_ok", "", "", recovered, guance.LevelNone, "event fields, as a status"},
		{"nodata_as_ok", "", "", recovered, guance.LevelNone, "event fields, as a status"},
		{"manual_ok", "", "", recovered, guance.LevelNone, "event fields, as a status"},
		{"high", "", "", problem, guance.LevelError, "level page, security"},
		{"medium", "", "", problem, guance.LevelWarning, "level page, security"},
		{"low", "", "", problem, guance.LevelInfo, "level page, security"},
		{"security_critical", "", "", problem, guance.LevelCritical,
			"alert policies of the Terraform provider"},
		{"security_high", "", "", problem, guance.LevelError, "alert policies of the Terraform provider"},
		{"security_medium", "", "", problem, guance.LevelWarning,
			"alert policies of the Terraform provider"},
		{"security_low", "", "", problem, guance.LevelInfo, "alert policies of the Terraform provider"},
		{"security_info", "", "", neither, guance.LevelInfo, "alert policies of the Terraform provider"},

		{"critical", "critical", "fault", problem, guance.LevelCritical,
			"sample, with the fault status of 2024"},
		{"ok", "ok", "ok", recovered, guance.LevelNone, "older event fields: sub-status ok"},
		{"ok", "nodata_ok", "ok", recovered, guance.LevelNone, "older event fields: data came back"},
		{"ok", "nodata_as_ok", "ok", recovered, guance.LevelNone,
			"older event fields: missing data counts as recovered"},
		{"ok", "manual_ok", "ok", recovered, guance.LevelNone, "older event fields: by hand"},

		{" Critical\n", "", "", problem, guance.LevelCritical, "case and space do not count"},
		{"OK", "", "", recovered, guance.LevelNone, "case does not count"},

		{"critical", "", "ok", problem, guance.LevelCritical,
			"doubtful: the fault status is derived, the status wins"},
		{"ok", "", "fault", recovered, guance.LevelNone,
			"doubtful: the fault status is derived, the status wins"},
		{"info", "", "ok", neither, guance.LevelInfo,
			"doubtful: info is no recovery, whatever the fault status"},
		{"info", "", "fault", neither, guance.LevelInfo, "doubtful: the status wins"},
		{"critical", "ok", "", recovered, guance.LevelNone,
			"doubtful: a recovery in either status is one"},
		{"nodata", "nodata_as_ok", "", recovered, guance.LevelNone,
			"doubtful: a recovery in either status is one"},
		{"ok", "critical", "", recovered, guance.LevelNone,
			"doubtful: a recovery in either status is one"},
		{"info", "ok", "", recovered, guance.LevelNone, "doubtful: a recovery in either status is one"},
		{"", "critical", "", problem, guance.LevelCritical,
			"abridged: the sub-status otherwise equals the level"},
		{"P1", "error", "", problem, guance.LevelError,
			"unknown: the sub-status otherwise equals the level"},
		{"", "", "ok", recovered, guance.LevelNone, "abridged: fault status ok without a fault level"},
		{"P1", "", "ok", recovered, guance.LevelNone, "unknown: fault status ok without a fault level"},
		{"P1", "", "Fault ", problem, guance.LevelNone, "unknown: nothing but the fault status speaks"},
		{"P1", "", "", neither, guance.LevelNone, "unknown: nothing speaks"},
		{"", "", "", neither, guance.LevelNone, "nothing speaks"},
		{"fault", "", "", neither, guance.LevelNone, "fault is a value of the fault status only"},
	} {
		name := fmt.Sprintf("%q+%q+%q", test.status, test.sub, test.fault)
		t.Run(name, func(t *testing.T) {
			e := &guance.Event{Status: test.status, SubStatus: test.sub, FaultStatus: test.fault}
			if got := e.State(); got != test.state {
				t.Errorf("State() = %s, want %s (%s)", got, test.state, test.source)
			}
			if got := e.Level(); got != test.level {
				t.Errorf("Level() = %s, want %s (%s)", got, test.level, test.source)
			}
		})
	}
}

// Users of the package store the numbers.
func TestNumbersNeverChange(t *testing.T) {
	for n, name := range []string{"none", "info", "nodata", "warning", "error", "critical", "fatal"} {
		if got := guance.Level(n).String(); got != name {
			t.Errorf("Level(%d) = %s, want %s", n, got, name)
		}
	}
	for n, name := range []string{"neither", "problem", "recovered"} {
		if got := guance.State(n).String(); got != name {
			t.Errorf("State(%d) = %s, want %s", n, got, name)
		}
	}
	for got, want := range map[fmt.Stringer]string{
		guance.Level(7): "Level(7)", guance.Level(-1): "Level(-1)", guance.State(3): "State(3)",
	} {
		if got.String() != want {
			t.Errorf("String() = %s, want %s", got, want)
		}
	}
}
