package relayfile

import (
	"cmp"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/expr-lang/expr"
	"github.com/expr-lang/expr/ast"
	"github.com/expr-lang/expr/file"
	"github.com/expr-lang/expr/vm"

	"github.com/guance-relay/guance-relay/guance"
)

// A Table says which lanes want an event. It may be used concurrently.
type Table struct {
	routes   []route
	all      []string // the lanes of every event if there are no routes
	fallback string
	log      *slog.Logger

	mu     sync.Mutex
	logged time.Time // guarded by mu: the last line about an expression that failed
}

type route struct {
	when     string
	program  *vm.Program // nil: every event
	lanes    []string
	goesOn   bool
	position string // file:line
}

// A Step is what one route says of an event.
type Step struct {
	Route   int // from 1; 0 if there are no routes
	When    string
	Matched bool
	Err     error // the expression failed; the route counts as matched, and the next are tried too
	Lanes   []string
}

// A Decision is which lanes want an event, and why.
type Decision struct {
	Lanes    []string
	Fallback bool // no route matched, or its list is empty, and the fallback gets it
	Steps    []Step
}

// Decide returns the lanes that want an event of a source, by its name in the file. The lanes that
// have the problem already may get the event too; only the relay knows them.
func (t *Table) Decide(source string, e *guance.Event) Decision {
	var d Decision
	if len(t.routes) == 0 {
		d.Lanes = slices.Clone(t.all)
		d.Steps = []Step{{Matched: true, Lanes: d.Lanes}}
	}
	var env environment
	for i, r := range t.routes {
		step := Step{Route: i + 1, When: r.when, Matched: r.program == nil, Lanes: r.lanes}
		if r.program != nil {
			if env.Unknown == 0 {
				env = newEnvironment(source, e)
			}
			result, err := expr.Run(r.program, env)
			step.Matched, step.Err = err != nil || result == true, err
		}
		d.Steps = append(d.Steps, step)
		if !step.Matched {
			continue
		}
		for _, lane := range r.lanes {
			if !slices.Contains(d.Lanes, lane) {
				d.Lanes = append(d.Lanes, lane)
			}
		}
		if !r.goesOn && step.Err == nil {
			break
		}
	}
	if len(d.Lanes) == 0 && t.fallback != "" {
		d.Lanes, d.Fallback = []string{t.fallback}, true
	}
	return d
}

// Route is a function for relay.Options.Route. An expression that fails, such as one that takes an
// element of an empty list, matches: nothing is lost because of it. It is logged once a minute.
func (t *Table) Route(source string, e *guance.Event) []string {
	d := t.Decide(cmp.Or(source, defaultSource), e)
	for i, step := range d.Steps {
		if step.Err != nil {
			t.warn(t.routes[i], step.Err)
		}
	}
	if d.Fallback {
		return nil // the relay decides it: another lane may have the problem
	}
	return d.Lanes
}

func (t *Table) warn(r route, err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if time.Since(t.logged) >= time.Minute {
		t.logged = time.Now()
		t.log.Error("the expression of a route fails; it counts as true, and the next routes are tried "+
			"too", "route", r.position, "error", firstLine(err))
	}
}

// firstLine leaves out the picture of the expression that expr adds.
func firstLine(err error) string {
	text, _, _ := strings.Cut(err.Error(), "\n")
	return text
}

// String is the table for people: one line for each route.
func (t *Table) String() string {
	var b strings.Builder
	for i, r := range t.routes {
		when, end := r.when, ""
		if r.program == nil {
			when = "every event"
		}
		if r.goesOn {
			end = ", and the next routes"
		}
		lanes := strings.Join(r.lanes, ", ")
		if lanes == "" {
			lanes = "no lane"
		}
		fmt.Fprintf(&b, "%d. %s -> %s%s\n", i+1, strings.Join(strings.Fields(when), " "), lanes, end)
	}
	if len(t.routes) == 0 {
		fmt.Fprintf(&b, "every event -> %s\n", strings.Join(t.all, ", "))
	}
	if t.fallback != "" {
		fmt.Fprintf(&b, "what no lane takes -> %s\n", t.fallback)
	} else if len(t.routes) > 0 {
		b.WriteString("what no lane takes is not kept: there is no fallback\n")
	}
	return b.String()
}

// table checks the routes and compiles them.
func (b *build) table(f *File) (*Table, error) {
	t := &Table{fallback: f.Fallback, log: b.loader.log()}
	used := map[string]bool{f.Fallback: true, f.Watch.Lane: true}
	if _, known := f.Lanes[f.Fallback]; f.Fallback != "" && !known {
		return nil, b.doc.errorf(path{"fallback"}, laneNames(f), "there is no lane %s", quote(f.Fallback))
	}
	for i, r := range f.Routes {
		at := path{"routes", i}
		if i > 0 && strings.TrimSpace(f.Routes[i-1].When) == "" && !f.Routes[i-1].Continue {
			return nil, b.doc.errorf(at, "add when or continue to the route before, or remove this one",
				"is never reached: the route before takes every event")
		}
		if !b.doc.has(at.with("lanes")) {
			return nil, b.doc.errorf(at.with("lanes"), "name lanes, or write [] for nobody", "is missing")
		}
		for j, lane := range r.Lanes {
			if _, known := f.Lanes[lane]; !known {
				return nil, b.doc.errorf(at.with("lanes", j), laneNames(f), "there is no lane %s",
					quote(lane))
			}
			if slices.Contains(r.Lanes[:j], lane) {
				return nil, b.doc.errorf(at.with("lanes", j), "remove one of the two", "lane %s is there twice",
					quote(lane))
			}
			used[lane] = true
		}
		compiled := route{
			when: strings.TrimSpace(r.When), lanes: r.Lanes, goesOn: r.Continue,
			position: fmt.Sprintf("%s:%d", b.doc.name, b.doc.find(at).Line),
		}
		var err error
		if compiled.program, err = b.compile(f, at.with("when"), r.When); err != nil {
			return nil, err
		}
		t.routes = append(t.routes, compiled)
	}
	for _, name := range sortedKeys(f.Lanes) {
		if len(f.Routes) > 0 && !used[name] {
			return nil, b.doc.errorf(path{"lanes", name}, "add it to a route, make it the fallback, or "+
				"remove it", "no route leads to this lane")
		}
		if name != f.Fallback {
			t.all = append(t.all, name)
		}
	}
	return t, nil
}

// compile checks and compiles an expression. It returns nil for an empty one.
func (b *build) compile(f *File, at path, text string) (*vm.Program, error) {
	if strings.TrimSpace(text) == "" {
		if b.doc.has(at) {
			return nil, b.doc.errorf(at, "write an expression, or remove the field for every event",
				"is empty")
		}
		return nil, nil
	}
	check := &wordCheck{words: maps.Clone(fixedWords)}
	check.words["source"] = sortedKeys(f.Sources)
	program, err := expr.Compile(text, expr.Env(environment{}), expr.AsBool(),
		expr.DisableBuiltin("now"), expr.Patch(check))
	if err == nil {
		err = check.err
	}
	if err == nil {
		return program, nil
	}
	message, remedy := firstLine(err), "see the section on expressions in docs/configuration.md"
	where := ""
	if e, ok := errors.AsType[*file.Error](err); ok {
		message = e.Message
		where = fmt.Sprintf(" (at character %d)", e.Column+1)
		if e.Line > 1 {
			where = fmt.Sprintf(" (at line %d, character %d)", e.Line, e.Column+1)
		}
	}
	switch {
	case strings.HasPrefix(message, "unknown name"):
		remedy = "the names are " + names + ", and the levels without quotes"
	case strings.Contains(message, "int and string"), strings.Contains(message, "string and int"):
		message, remedy = "a level is compared with text", "write it without quotes: level >= critical"
	case strings.Contains(message, "relayfile.named"):
		message, remedy = "a workspace and a monitor have an id and a name",
			"write workspace.id, workspace.name, monitor.id or monitor.name"
	case strings.Contains(message, "expected bool"):
		message = "the expression is not true or false"
		remedy = "compare something, as in level >= critical"
	}
	message = strings.ReplaceAll(message, "relayfile.", "")
	return nil, b.doc.errorf(at, remedy, "%s%s", message, where)
}

// A wordCheck finds comparisons of state, kind and source with a word that they never are.
type wordCheck struct {
	words map[string][]string // what a name may be
	err   error
}

// Visit implements ast.Visitor.
func (c *wordCheck) Visit(node *ast.Node) {
	op, ok := (*node).(*ast.BinaryNode)
	if !ok || op.Operator != "==" && op.Operator != "!=" && op.Operator != "in" {
		return
	}
	for _, sides := range [][2]ast.Node{{op.Left, op.Right}, {op.Right, op.Left}} {
		name, ok := sides[0].(*ast.IdentifierNode)
		if !ok || c.words[name.Value] == nil {
			continue
		}
		values := []ast.Node{sides[1]}
		if list, ok := sides[1].(*ast.ArrayNode); ok {
			values = list.Nodes
		}
		for _, v := range values {
			text, ok := v.(*ast.StringNode)
			if ok && !slices.Contains(c.words[name.Value], text.Value) && c.err == nil {
				c.err = &file.Error{
					Location: v.Location(), Line: 1, Column: v.Location().From,
					Message: fmt.Sprintf("%s is never %s: it is one of %s", name.Value, quote(text.Value),
						strings.Join(c.words[name.Value], ", ")),
				}
			}
		}
	}
}
