package relayfile

import (
	"errors"
	"fmt"
	"os"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"
	"github.com/goccy/go-yaml/token"
)

// An Error is what is wrong with a file.
type Error struct {
	File         string
	Line, Column int    // from 1
	Field        string // such as lanes.payments.key; empty: the file as a whole
	Problem      string
	Remedy       string
}

// Error returns one line.
func (e *Error) Error() string {
	text := fmt.Sprintf("%s:%d:%d: ", e.File, e.Line, e.Column)
	if e.Field != "" {
		text += e.Field + ": "
	}
	return strings.Join(strings.Fields(text+e.Problem+"; "+e.Remedy), " ")
}

// maxFile is the largest file that is read.
const maxFile = 1 << 20

// A document is a file with the places of its fields.
type document struct {
	name string
	root ast.Node
}

// A path leads to a field: names of mappings and indexes of lists.
type path []any

func (p path) String() string {
	var b strings.Builder
	for _, step := range p {
		if i, ok := step.(int); ok {
			fmt.Fprintf(&b, "[%d]", i)
			continue
		}
		if b.Len() > 0 {
			b.WriteByte('.')
		}
		fmt.Fprint(&b, step)
	}
	return b.String()
}

// with returns a longer path.
func (p path) with(steps ...any) path { return append(slices.Clone(p), steps...) }

// readDocument reads a file into v.
func readDocument(name string, v any) (d *document, err error) {
	defer func() { // a panic would print the file, and the library has had some
		if recover() != nil {
			d, err = nil, (&document{name: name}).translate(errors.New("a panic"), v)
		}
	}()
	info, err := os.Stat(name)
	if err == nil && info.Mode().IsRegular() && info.Size() > maxFile {
		err = fmt.Errorf("%s has more than %d bytes", name, maxFile)
	}
	var content []byte
	if err == nil {
		content, err = os.ReadFile(name)
	}
	d = &document{name: name}
	if err != nil {
		reason := err
		if inner, ok := errors.AsType[*os.PathError](err); ok {
			reason = inner.Err
		}
		return nil, d.errorAt(1, 1, nil, "create the file, or correct -config",
			"cannot be read: %v", reason)
	}
	tree, err := parser.ParseBytes(content, 0)
	if err != nil {
		return nil, d.translate(err, v)
	}
	switch len(tree.Docs) {
	case 0:
	case 1:
		d.root = tree.Docs[0].Body
	default:
		at := tree.Docs[1].Start
		line, column := 1, 1
		if at != nil {
			line, column = at.Position.Line, at.Position.Column
		}
		return nil, d.errorAt(line, column, nil, "keep one of them", "the file has several documents")
	}
	if d.root == nil || d.root.Type() == ast.NullType || d.root.Type() == ast.CommentType {
		return nil, d.errorAt(1, 1, nil, "docs/configuration.md has examples", "the file is empty")
	}
	ast.Walk(mender{}, d.root)
	if err := yaml.NodeToValue(d.root, v, yaml.Strict()); err != nil {
		return nil, d.translate(err, v)
	}
	return d, nil
}

// A mender makes text of the references in a list within braces, {tokens: [env:NAME]}. That is text
// in YAML, as no space follows the colon; the parser makes a mapping of it.
type mender struct{}

// Visit implements ast.Visitor.
func (m mender) Visit(node ast.Node) ast.Visitor {
	list, ok := node.(*ast.SequenceNode)
	if !ok {
		return m
	}
	for i, element := range list.Values {
		if mapping, ok := element.(*ast.MappingNode); ok && len(mapping.Values) == 1 {
			element = mapping.Values[0]
		}
		pair, ok := element.(*ast.MappingValueNode)
		if !ok {
			continue
		}
		key, value := pair.Key.GetToken(), pair.Value.GetToken()
		if (key.Value == "env" || key.Value == "file") && value.Position.Line == key.Position.Line &&
			value.Position.Column == key.Position.Column+len(key.Value)+1 {
			text := key.Value + ":" + value.Value
			list.Values[i] = ast.String(token.New(text, text, key.Position))
		}
	}
	return m
}

func (d *document) errorAt(line, column int, p path, remedy, format string, args ...any) *Error {
	return &Error{
		File: d.name, Line: line, Column: column, Field: p.String(),
		Problem: fmt.Sprintf(format, args...), Remedy: remedy,
	}
}

// errorf returns an error at the place of a field, or of what it would be part of.
func (d *document) errorf(p path, remedy, format string, args ...any) error {
	at := d.find(p)
	return d.errorAt(at.Line, at.Column, p, remedy, format, args...)
}

// find returns where the value of a field is, or the closest thing around it.
func (d *document) find(p path) *token.Position {
	node, at := d.root, d.root.GetToken().Position
	if m, ok := node.(*ast.MappingNode); ok && len(m.Values) > 0 {
		at = m.Values[0].Key.GetToken().Position
	}
	for _, step := range p {
		next, key := child(node, step)
		if next == nil {
			break
		}
		node, at = next, next.GetToken().Position
		// A mapping begins at its colon for the parser, and at its key for a person.
		if t := next.Type(); key != nil && t != ast.StringType && t != ast.IntegerType &&
			t != ast.BoolType && t != ast.FloatType && t != ast.LiteralType {
			at = key.Position
		}
	}
	return at
}

// node returns the value of a field, or nil if the file has no such field.
func (d *document) node(p path) ast.Node {
	node := d.root
	for _, step := range p {
		node, _ = child(node, step)
	}
	return node
}

// has reports whether the file has a field.
func (d *document) has(p path) bool { return d.node(p) != nil }

// text returns the text of a field, or "".
func (d *document) text(p path) string {
	if node := d.node(p); node != nil {
		return node.GetToken().Value
	}
	return ""
}

// child returns a value of a mapping with the token of its key, or an element of a list.
func child(node ast.Node, step any) (ast.Node, *token.Token) {
	if anchor, ok := node.(*ast.AnchorNode); ok {
		node = anchor.Value
	}
	switch n := node.(type) {
	case *ast.MappingNode:
		for _, v := range n.Values {
			if v.Key.GetToken().Value == fmt.Sprint(step) {
				return v.Value, v.Key.GetToken()
			}
		}
	case *ast.MappingValueNode:
		if n.Key.GetToken().Value == fmt.Sprint(step) {
			return n.Value, n.Key.GetToken()
		}
	case *ast.SequenceNode:
		if i, ok := step.(int); ok && i < len(n.Values) {
			return n.Values[i], nil
		}
	}
	return nil, nil
}

var (
	plainName  = regexp.MustCompile(`^[A-Za-z_-]{1,40}$`)
	yamlQuoted = regexp.MustCompile(`"[^"]*"`)
)

// translate returns an error of the YAML library as one of ours. Its message is not repeated where
// it could hold a value.
func (d *document) translate(err error, v any) error {
	problem, ok := errors.AsType[yaml.Error](err)
	if !ok || problem.GetToken() == nil {
		return d.errorAt(1, 1, nil, "compare it with docs/configuration.md", "is not a configuration")
	}
	tok := problem.GetToken()
	line, column := tok.Position.Line, tok.Position.Column
	at := d.pathOf(tok)
	const remedy = "see docs/configuration.md"
	switch e := problem.(type) {
	case *yaml.UnknownFieldError:
		name := "(not shown)"
		if plainName.MatchString(tok.Value) {
			name = tok.Value
		}
		parent := at[:max(len(at)-1, 0)]
		at = parent.with(name)
		known := fieldNames(typeAt(reflect.TypeOf(v), parent), d.text(parent.with("type")))
		return d.errorAt(line, column, at, "the fields here are "+strings.Join(known, ", "),
			"unknown field")
	case *yaml.DuplicateKeyError:
		return d.errorAt(line, column, at, "remove one of the two", "is there twice")
	case *yaml.TypeError:
		return d.errorAt(line, column, at, remedy, "must be %s", typeName(e.DstType))
	case *yaml.OverflowError:
		return d.errorAt(line, column, at, "write a smaller one", "the number is too large")
	case *yaml.UnexpectedNodeTypeError:
		return d.errorAt(line, column, at, remedy, "must be %s", nodeName(e.Expected))
	}
	if strings.HasPrefix(problem.GetMessage(), "mapping key") {
		name := "a name"
		if plainName.MatchString(tok.Value) {
			name = tok.Value
		}
		return d.errorAt(line, column, nil, "remove one of the two", "%s is there twice", name)
	}
	// What quotes stand around may be a value.
	message := yamlQuoted.ReplaceAllString(problem.GetMessage(), "…")
	return d.errorAt(line, column, nil, "correct the YAML", "not YAML: %s", message)
}

// pathOf returns the path of the field that a token belongs to.
func (d *document) pathOf(tok *token.Token) path {
	if d.root == nil {
		return nil
	}
	var walk func(node ast.Node, at path) path
	walk = func(node ast.Node, at path) path {
		if anchor, ok := node.(*ast.AnchorNode); ok {
			node = anchor.Value
		}
		switch n := node.(type) {
		case nil:
			return nil
		case *ast.MappingNode:
			var last path // a duplicate is reported at the second one
			for _, v := range n.Values {
				if found := walk(v, at); found != nil {
					last = found
				}
			}
			if last != nil {
				return last
			}
		case *ast.MappingValueNode:
			inner := at.with(n.Key.GetToken().Value)
			if samePlace(n.Key.GetToken(), tok) {
				return inner
			}
			if found := walk(n.Value, inner); found != nil {
				return found
			}
		case *ast.SequenceNode:
			for i, v := range n.Values {
				if found := walk(v, at.with(i)); found != nil {
					return found
				}
			}
		}
		if samePlace(node.GetToken(), tok) {
			return at
		}
		return nil
	}
	return walk(d.root, path{})
}

func samePlace(a, b *token.Token) bool {
	return a != nil && b != nil && a.Position.Offset == b.Position.Offset &&
		a.Position.Line == b.Position.Line
}

// typeAt returns the type of the field at a path.
func typeAt(t reflect.Type, p path) reflect.Type {
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	for _, step := range p {
		switch t.Kind() {
		case reflect.Map, reflect.Slice:
			t = t.Elem()
		case reflect.Struct:
			i := slices.IndexFunc(reflect.VisibleFields(t), func(f reflect.StructField) bool {
				return f.Tag.Get("yaml") == step
			})
			if i < 0 {
				return t
			}
			t = t.Field(i).Type
		}
	}
	return t
}

// fieldNames returns the names of the fields of a structure; of a lane of a type, those of it.
func fieldNames(t reflect.Type, lane string) (names []string) {
	if t.Kind() == reflect.Struct {
		for _, f := range reflect.VisibleFields(t) {
			if types := f.Tag.Get("types"); types == "" || lane == "" || types == lane {
				names = append(names, f.Tag.Get("yaml"))
			}
		}
	}
	return names
}

func typeName(t reflect.Type) string {
	switch t.Kind() {
	case reflect.Int, reflect.Int64, reflect.Uint64:
		return "a whole number"
	case reflect.Bool:
		return "true or false"
	case reflect.Slice:
		return "a list"
	case reflect.Map, reflect.Struct:
		return "a mapping"
	}
	return "text"
}

func nodeName(t ast.NodeType) string {
	switch t {
	case ast.MappingType:
		return "a mapping"
	case ast.SequenceType:
		return "a list"
	}
	return "text"
}

// split returns the problem and the remedy of an error that has both.
func split(err error, remedy string) (string, string) {
	text := strings.NewReplacer("pagerduty: ", "", "Options.BaseURL", "base_url").Replace(err.Error())
	problem, own, ok := strings.Cut(text, "; ")
	if !ok {
		return problem, remedy
	}
	return problem, own
}

// quote returns text that may be shown, in quotes and not too long.
func quote(s string) string {
	if r := []rune(s); len(r) > 60 {
		s = string(r[:60]) + "…"
	}
	return strconv.Quote(s)
}
