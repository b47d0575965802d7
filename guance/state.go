package guance

import "strconv"

// A State is what an event says about its problem. Users of this package store the numbers, so they
// never change.
type State int

const (
	// StateNeither: the event does not say whether the problem is there. Examples are a check that
	// reports info, a message that somebody works on the problem, a test, and a body that is not
	// understood.
	StateNeither State = 0
	// StateProblem: the problem is there.
	StateProblem State = 1
	// StateRecovered: the problem is gone.
	StateRecovered State = 2
)

// String returns "problem", "recovered" or "neither".
func (s State) String() string {
	switch s {
	case StateNeither:
		return "neither"
	case StateProblem:
		return "problem"
	case StateRecovered:
		return "recovered"
	}
	return "State(" + strconv.Itoa(int(s)) + ")"
}

// State decides by df_status and df_sub_status, in this order:
//
//  1. If either of them is a recovery, the state is recovered: some installations write the
//     recovery in the status, others keep the detail in the sub-status (level page, older event
//     fields).
//  2. Otherwise a known status decides. It comes before df_fault_status, which is derived from the
//     two (event fields). So info with the fault status ok is no recovery: nothing says that the
//     problem is gone.
//  3. Without a known status the sub-status decides, which usually equals the level, and then
//     df_fault_status.
//
// For an Issue or Incident, its own status decides: open is a problem, resolved and closed are
// recoveries. Working is neither: it says that somebody works on the problem, and not whether it is
// there; see [Event.Acknowledged].
func (e *Event) State() State {
	sub := e.SubStatus.State()
	switch {
	case sub == StateRecovered:
		return StateRecovered
	case e.Status.Known(): // a recovery, too
		return e.Status.State()
	case e.SubStatus.Known():
		return sub
	}
	switch e.FaultStatus.normalized() {
	case StatusOK:
		return StateRecovered
	case StatusFault:
		return StateProblem
	}
	if e.Incident != nil {
		return e.Incident.state()
	}
	return StateNeither
}

// Acknowledged reports whether the event says that somebody works on its problem. Only Issues and
// Incidents say so; monitor events never do.
func (e *Event) Acknowledged() bool {
	return e.Incident != nil && e.State() == StateNeither && e.Incident.working()
}
