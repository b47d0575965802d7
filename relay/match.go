package relay

import (
	"encoding/json"
	"slices"

	"github.com/guance-relay/guance-relay/guance"
)

// MatchTag returns a function for SinkOptions.Match that takes the events whose tag key has one of
// the values, or has any value if none is given. The tags are those that the monitor groups by
// (df_dimension_tags). An event that has no such tag there is judged by its top-level field of that
// name if that is a string: events of other systems bring their fields there.
func MatchTag(key string, values ...string) func(*guance.Event) bool {
	values = slices.Clone(values)
	return func(e *guance.Event) bool {
		value, ok := e.DimensionTags[key]
		if !ok {
			ok = json.Unmarshal(e.Extra[key], &value) == nil && value != ""
		}
		return ok && (len(values) == 0 || slices.Contains(values, value))
	}
}

// MatchWorkspace returns a function for SinkOptions.Match that takes the events of the workspaces
// with these ids or names. An id is the safer choice, as anybody may give two workspaces one name.
func MatchWorkspace(idsOrNames ...string) func(*guance.Event) bool {
	wanted := slices.Clone(idsOrNames)
	return func(e *guance.Event) bool {
		id, name := e.Workspace()
		return isOneOf(wanted, id) || isOneOf(wanted, name)
	}
}

// MatchMonitor returns a function for SinkOptions.Match that takes the events of the monitors with
// these ids ("rul_…") or names. Guance calls a monitor a checker in its fields
// (df_monitor_checker_id and df_monitor_checker_name); df_monitor_id is the alert policy.
func MatchMonitor(idsOrNames ...string) func(*guance.Event) bool {
	wanted := slices.Clone(idsOrNames)
	return func(e *guance.Event) bool {
		return isOneOf(wanted, e.CheckerID) || isOneOf(wanted, e.CheckerName)
	}
}

// isOneOf reports whether an id or a name is wanted. An empty one is none.
func isOneOf(wanted []string, idOrName string) bool {
	return idOrName != "" && slices.Contains(wanted, idOrName)
}

// MatchLabel returns a function for SinkOptions.Match that takes the events whose monitor has at
// least one of the labels (df_label).
func MatchLabel(labels ...string) func(*guance.Event) bool {
	labels = slices.Clone(labels)
	return func(e *guance.Event) bool {
		return slices.ContainsFunc(e.Label, func(label string) bool {
			return slices.Contains(labels, label)
		})
	}
}

// AtLeast returns a function for SinkOptions.Match that takes faults of this level and of worse
// ones, and those whose status or level is unknown, as they may be the worst of all. It takes no
// recovery and no acknowledgement: these go to each lane that has the problem, whatever Match says,
// and so does a lower level. See the section Routing of the package comment.
func AtLeast(level guance.Level) func(*guance.Event) bool {
	return func(e *guance.Event) bool {
		if e.State() == guance.StateRecovered || e.Acknowledged() {
			return false
		}
		l := e.Level()
		return l == guance.LevelNone || l >= level
	}
}

// All returns a function for SinkOptions.Match that takes an event if each of matches takes it, and
// so every event if there is none.
func All(matches ...func(*guance.Event) bool) func(*guance.Event) bool {
	matches = slices.Clone(matches)
	return func(e *guance.Event) bool {
		for _, match := range matches {
			if !match(e) {
				return false
			}
		}
		return true
	}
}

// Any returns a function for SinkOptions.Match that takes an event if at least one of matches takes
// it, and so no event if there is none.
func Any(matches ...func(*guance.Event) bool) func(*guance.Event) bool {
	matches = slices.Clone(matches)
	return func(e *guance.Event) bool {
		for _, match := range matches {
			if match(e) {
				return true
			}
		}
		return false
	}
}

// Not returns a function for SinkOptions.Match that takes the events that match does not take.
// Not(AtLeast(level)) takes no recovery, because AtLeast takes them all.
func Not(match func(*guance.Event) bool) func(*guance.Event) bool {
	return func(e *guance.Event) bool { return !match(e) }
}
