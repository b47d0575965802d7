package relayfile

import (
	"encoding/json"
	"maps"
	"slices"
	"strings"

	"github.com/guance-relay/guance-relay/guance"
)

// unknownLevel is that of an alert whose level is not known: it may be the worst of all.
const unknownLevel = int(guance.LevelFatal) + 1

// A named thing has an id and a name.
type named struct {
	ID   string `expr:"id"`
	Name string `expr:"name"`
}

// An environment is what expressions of routes see.
type environment struct {
	Level     int               `expr:"level"`
	State     string            `expr:"state"`
	Kind      string            `expr:"kind"`
	Tags      map[string]string `expr:"tags"`
	Labels    []string          `expr:"labels"`
	Workspace named             `expr:"workspace"`
	Monitor   named             `expr:"monitor"`
	Policy    []string          `expr:"policy"`
	Title     string            `expr:"title"`
	Source    string            `expr:"source"`

	None     int `expr:"none"`
	Info     int `expr:"info"`
	NoData   int `expr:"nodata"`
	Warning  int `expr:"warning"`
	Error    int `expr:"error"`
	Critical int `expr:"critical"`
	Fatal    int `expr:"fatal"`
	Unknown  int `expr:"unknown"`
}

// names are what an expression may use, for error messages.
const names = "level, state, kind, tags, labels, workspace.id, workspace.name, monitor.id, " +
	"monitor.name, policy, title and source"

// fixedWords are the values of state and kind.
var fixedWords = map[string][]string{
	"state": {"problem", "recovered", "acknowledged", "neither"},
	"kind":  kinds(),
}

func kinds() (list []string) {
	for _, k := range guance.Kinds() {
		list = append(list, string(k))
	}
	return list
}

// newEnvironment returns what expressions see of an event of a source.
func newEnvironment(source string, e *guance.Event) environment {
	env := environment{
		Level: int(e.Level()), State: e.State().String(), Kind: string(e.Kind()), Tags: tags(e),
		Labels: e.Label, Monitor: named{e.CheckerID, e.CheckerName}, Title: e.Title,
		Source: source,
		None:   int(guance.LevelNone), Info: int(guance.LevelInfo), NoData: int(guance.LevelNoData),
		Warning: int(guance.LevelWarning), Error: int(guance.LevelError),
		Critical: int(guance.LevelCritical), Fatal: int(guance.LevelFatal), Unknown: unknownLevel,
	}
	env.Workspace.ID, env.Workspace.Name = e.Workspace()
	switch {
	case e.Acknowledged():
		env.State, env.Level = "acknowledged", int(guance.LevelNone) // as relay.AtLeast has it
	case e.State() != guance.StateRecovered && e.Level() == guance.LevelNone:
		env.Level = unknownLevel
	}
	env.Policy = append(env.Policy, e.AlertPolicyIDs...)
	env.Policy = append(env.Policy, e.AlertPolicyNames...)
	env.Policy = append(env.Policy, e.MonitorIDs()...)
	if e.MonitorName != "" {
		env.Policy = append(env.Policy, strings.Split(e.MonitorName, ";")...)
	}
	slices.Sort(env.Policy)
	env.Policy = slices.Compact(env.Policy)
	return env
}

// tags returns the tags that relay.MatchTag sees: those that the monitor groups by, and top-level
// fields of text that have no such tag.
func tags(e *guance.Event) map[string]string {
	all := e.DimensionTags
	copied := false
	for key, raw := range e.Extra {
		var value string
		if _, known := e.DimensionTags[key]; known || json.Unmarshal(raw, &value) != nil || value == "" {
			continue
		}
		if !copied {
			all, copied = maps.Clone(all), true
			if all == nil {
				all = make(map[string]string)
			}
		}
		all[key] = value
	}
	return all
}
