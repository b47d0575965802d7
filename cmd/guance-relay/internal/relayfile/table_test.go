package relayfile

import (
	"bytes"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/guance-relay/guance-relay/guance"
	"github.com/guance-relay/guance-relay/guance/guancetest"
)

// tableOf returns the table of these routes, for lanes a to e.
func tableOf(t *testing.T, routes string) *Table {
	t.Helper()
	const lanes = "lanes:\n  a: {type: log}\n  b: {type: log}\n  c: {type: log}"
	return configOf(t, lanes+ending+routes).Table
}

// configOf returns the configuration of a text.
func configOf(t *testing.T, text string) *Config {
	t.Helper()
	name := filepath.Join(t.TempDir(), "relay.yaml")
	if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	c, err := testLoader().Load(name)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// The first route that matches decides, unless it has continue; the fallback gets the rest.
func TestRoutes(t *testing.T) {
	fault := guancetest.NewProblem("disk", "service", "payments").Fault(guance.LevelCritical)
	for name, test := range map[string]struct {
		routes string
		want   []string // of the relay
	}{
		"no routes":                 {"", []string{"a", "b", "c"}},
		"no routes, and a fallback": {"fallback: b\n", []string{"a", "c"}},
		"the first":                 {"routes: [{when: level > error, lanes: [b]}, {lanes: [a, c]}]\n", []string{"b"}},
		"continue": {"routes: [{when: level > error, lanes: [b], continue: true}, {lanes: [a, b, c]}]\n",
			[]string{"b", "a", "c"}},
		"not the first": {"routes: [{when: level < error, lanes: [b]}, {lanes: [a, c]}]\n",
			[]string{"a", "c"}},
		"nobody": {"routes: [{when: level > error, lanes: []}, {lanes: [a, b, c]}]\n", nil},
		"the fallback is the relay's": {
			"routes: [{when: level < error, lanes: [a, b]}]\nfallback: c\n", nil},
		"a fallback by name": {"routes: [{lanes: [a, b, c]}]\nfallback: c\n", []string{"a", "b", "c"}},
		"an expression that fails": {"routes:\n  - when: labels[3] == 'x'\n    lanes: [a]\n" +
			"  - lanes: [b]\nfallback: c\n", []string{"a", "b"}},
	} {
		t.Run(name, func(t *testing.T) {
			table := tableOf(t, test.routes)
			var log bytes.Buffer
			table.log = slog.New(slog.NewTextHandler(&log, nil))
			for range 3 {
				if got := table.Route("", fault); !slices.Equal(got, test.want) {
					t.Errorf("got %q, want %q", got, test.want)
				}
			}
			if failed := strings.Contains(name, "fails"); strings.Count(log.String(), "\n") != 1 && failed ||
				log.Len() > 0 && !failed {
				t.Errorf("the log is %q", log.String())
			}
		})
	}
}

// What expressions see of events.
func TestExpressions(t *testing.T) {
	p := guancetest.NewProblem("disk is full", "service", "payments", "host", "web001")
	fault := p.Fault(guance.LevelCritical)
	fault.Label, fault.AlertPolicyNames = []string{"db"}, []string{"night"}
	fault.WorkspaceUUID, fault.WorkspaceName = "wksp_1", "shop"
	for text, want := range map[string]bool{
		`level >= critical`: true, `level == fatal`: false, `level in [error, critical]`: true,
		`state == "problem"`: true, `state != "problem"`: false, `kind == "fault"`: true,
		`kind in ["slo", "security"]`: false, `tags.service == "payments"`: true,
		`tags.nothing == ""`: true, `"host" in tags`: true, `tags["host"] startsWith "web"`: true,
		`tags.host matches "^web[0-9]+$"`: true, `"db" in labels`: true, `"night" in policy`: true,
		`workspace.id == "wksp_1" && workspace.name == "shop"`: true,
		`monitor.name == "disk is full"`:                       true, `title contains "disk"`: true,
		`source == "default"`: true, `source != "default"`: false,
		`level >= error and not (title contains "test")`: true,
	} {
		table := tableOf(t, "routes:\n  - when: "+
			strings.ReplaceAll("|\n      X\n", "X", text)+"    lanes: [a]\n  - lanes: [b, c]\n")
		if got := slices.Equal(table.Route("", fault), []string{"a"}); got != want {
			t.Errorf("%s is %v, want %v", text, got, want)
		}
	}
	for _, test := range []struct {
		event *guance.Event
		when  string
	}{
		{p.Recover(), `state == "recovered" && level == none`},
		{p.Incident("working"), `state == "acknowledged" && level == none`},
		{&guance.Event{FaultStatus: guance.StatusFault}, `state == "problem" && level == unknown`},
		{&guance.Event{FaultStatus: guance.StatusFault}, `level >= critical`},
	} {
		table := tableOf(t, "routes:\n  - when: '"+test.when+"'\n    lanes: [a]\n  - lanes: [b, c]\n")
		if got := table.Route("", test.event); !slices.Equal(got, []string{"a"}) {
			t.Errorf("%s is not true of %v %v", test.when, test.event.State(), test.event.Level())
		}
	}
}

// An expression may name the source. That of the relay without a name is called default.
func TestSources(t *testing.T) {
	const text = "lanes: {a: {type: log}, b: {type: log}}\n" +
		"sources: {default: {tokens: [env:TOKEN]}, bank: {basic: [env:BASIC]}}\n" +
		"routes: [{when: \"source in ['bank']\", lanes: [a]}, {when: source == 'default', lanes: [b]}]\n"
	c := configOf(t, text)
	fault := guancetest.NewProblem("disk").Fault(guance.LevelCritical)
	for source, want := range map[string]string{"bank": "a", "": "b", "default": "b", "other": ""} {
		if got := strings.Join(c.Table.Route(source, fault), " "); got != want {
			t.Errorf("an event of %q goes to %q, want %q", source, got, want)
		}
	}
}

// The examples load, and the cases of the cookbook pass.
func TestExamples(t *testing.T) {
	env := exampleEnv()
	loader := &Loader{Getenv: func(name string) string { return env[name] }}
	for _, name := range []string{"reference", "workspaces", "cookbook"} {
		c, err := loader.Load("../../testdata/config/" + name + ".yaml")
		if err != nil {
			t.Fatal(err)
		}
		if name != "cookbook" {
			continue
		}
		cases, err := LoadCases("../../testdata/config/cases.yaml", c)
		if err != nil {
			t.Fatal(err)
		}
		for _, test := range cases {
			if got := c.Table.Decide(test.Source, test.Event).Lanes; !slices.Equal(got, test.Lanes) {
				t.Errorf("%s: %q, want %q", test.Name, got, test.Lanes)
			}
		}
	}
}
