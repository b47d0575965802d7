package guance

import "strconv"

// A State is what an event says of its problem. The numbers are written to
// disk by users of this package and never change.
type State int

const (
	// StateNeither: the event does not say whether the problem is there. A
	// check that merely reports info, a message that somebody works on it, a
	// test, a body that is not understood.
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
//  1. A recovery in either one is a recovery: some installations write it in
//     the status, others keep the detail in the sub-status (level page, older
//     event fields).
//  2. A status that is known says the rest, and wins over df_fault_status,
//     which is derived from the two (event fields). So info with a fault
//     status of ok is no recovery: nobody said that the problem is gone.
//  3. A status that is absent or unknown leaves it to the sub-status, which
//     otherwise equals the level, and then to df_fault_status.
//
// An Issue or Incident says it by its own status: open is a problem, resolved
// and closed are recoveries. Working is neither, since it says who looks after
// the problem and not whether it is there; see [Event.Acknowledged].
func (e *Event) State() State {
	status, sub := e.Status.State(), e.SubStatus.State()
	switch {
	case status == StateRecovered || sub == StateRecovered:
		return StateRecovered
	case e.Status.Known():
		return status
	case e.SubStatus.Known():
		return sub
	}
	switch e.FaultStatus.normal() {
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

// Acknowledged reports whether the event says that somebody works on its
// problem. Only Issues and Incidents say so; monitor events never do.
func (e *Event) Acknowledged() bool {
	return e.Incident != nil && e.State() == StateNeither && e.Incident.working()
}
