package main

import (
	"go/ast"
	"go/constant"
	"go/token"
	"go/types"
	"slices"
	"strconv"
	"strings"
)

// swaps are the replacements of operators: a comparison moves its boundary by one, others are
// inverted.
var swaps = map[token.Token]token.Token{
	token.EQL: token.NEQ, token.NEQ: token.EQL,
	token.LSS: token.LEQ, token.LEQ: token.LSS, token.GTR: token.GEQ, token.GEQ: token.GTR,
	token.LAND: token.LOR, token.LOR: token.LAND,
	token.ADD: token.SUB, token.SUB: token.ADD, token.MUL: token.QUO, token.QUO: token.MUL,
	token.REM: token.MUL,
	token.AND: token.OR, token.OR: token.AND, token.SHL: token.SHR, token.SHR: token.SHL,
}

// A finder collects the changes that can be made to one file.
type finder struct {
	fset   *token.FileSet
	info   *types.Info
	pkg    *types.Package
	source []byte
	base   change // dir and file
	// what no test should depend on: the wording of errors and logs, and capacities
	skip  map[ast.Node]bool
	found []change
}

// find lists the changes, in the order of the text. Some do not compile: a variable may become
// unused, or a function may end without a return.
func (f *finder) find(file *ast.File) []change {
	for _, decl := range file.Decls {
		if f.base.within = nameOf(decl); f.base.within != "" {
			ast.Inspect(decl, f.visit)
		}
	}
	slices.SortStableFunc(f.found, func(a, b change) int { return a.start - b.start })
	return f.found
}

// nameOf returns the name of a function, with its receiver's type, or the first name of a
// declaration; "" for imports.
func nameOf(decl ast.Decl) string {
	switch decl := decl.(type) {
	case *ast.FuncDecl:
		if decl.Recv != nil {
			t := decl.Recv.List[0].Type
			if star, ok := t.(*ast.StarExpr); ok {
				t = star.X
			}
			if generic, ok := t.(*ast.IndexExpr); ok {
				t = generic.X
			}
			return types.ExprString(t) + "." + decl.Name.Name
		}
		return decl.Name.Name
	case *ast.GenDecl:
		switch spec := decl.Specs[0].(type) {
		case *ast.TypeSpec:
			return spec.Name.Name
		case *ast.ValueSpec:
			return spec.Names[0].Name
		}
	}
	return ""
}

func (f *finder) visit(n ast.Node) bool {
	if f.skip[n] {
		return false
	}
	switch n := n.(type) {
	case *ast.Field:
		if n.Tag != nil {
			f.skip[n.Tag] = true
		}
	case *ast.BlockStmt:
		f.statements(n.List)
	case *ast.CaseClause:
		f.statements(n.Body)
		f.drop("case dropped", n.List, n.Colon)
	case *ast.CommClause:
		f.statements(n.Body)
	case *ast.SwitchStmt:
		f.clauses(n.Body)
		if n.Tag == nil {
			for _, clause := range n.Body.List {
				for _, e := range clause.(*ast.CaseClause).List {
					f.negate(e)
				}
			}
		}
	case *ast.TypeSwitchStmt:
		f.clauses(n.Body)
	case *ast.SelectStmt:
		f.clauses(n.Body)
	case *ast.IfStmt:
		f.negate(n.Cond)
		if n.Else != nil {
			f.replace("else dropped", n.Body.End(), n.Else.End(), "")
		}
	case *ast.ForStmt:
		f.negate(n.Cond)
	case *ast.BinaryExpr:
		f.binary(n)
	case *ast.UnaryExpr:
		if n.Op == token.NOT || n.Op == token.SUB {
			f.replace("sign dropped", n.Pos(), n.X.Pos(), "")
		}
	case *ast.BasicLit:
		f.literal(n)
	case *ast.ReturnStmt:
		for _, e := range n.Results {
			if lit, ok := e.(*ast.BasicLit); ok && len(n.Results) > 1 &&
				(lit.Value == "0" || lit.Value == `""`) {
				f.skip[e] = true // it is ignored beside an error
			}
			f.result(e)
		}
	case *ast.CompositeLit:
		f.drop("element dropped", n.Elts, n.Rbrace)
	case *ast.CallExpr:
		f.call(n)
	}
	return true
}

// replace records a change.
func (f *finder) replace(kind string, from, to token.Pos, text string) {
	c := f.base
	c.kind, c.text = kind, text
	start := f.fset.Position(from)
	c.line, c.start, c.end = start.Line, start.Offset, f.fset.Position(to).Offset
	f.found = append(f.found, c)
}

// text returns a part of the file.
func (f *finder) text(n ast.Node) string {
	return string(f.source[f.fset.Position(n.Pos()).Offset:f.fset.Position(n.End()).Offset])
}

// statements removes each statement. A declared variable gets its zero value instead.
func (f *finder) statements(list []ast.Stmt) {
	for _, s := range list {
		switch s := s.(type) {
		case *ast.AssignStmt:
			if s.Tok != token.DEFINE {
				break
			}
			name, single := s.Lhs[0].(*ast.Ident)
			t := f.info.TypeOf(s.Rhs[0])
			if single && len(s.Lhs) == 1 && t != nil && !f.isZero(s.Rhs[0]) {
				f.replace("zero value", s.Pos(), s.End(), "var "+name.Name+" "+
					types.TypeString(types.Default(t), f.qualifier)+f.uses(s))
			}
			continue
		case *ast.ExprStmt:
			if call, ok := s.X.(*ast.CallExpr); ok && f.builtin(call) == "panic" {
				continue
			}
		case *ast.ReturnStmt, *ast.DeclStmt, *ast.LabeledStmt, *ast.BlockStmt, *ast.EmptyStmt:
			continue
		}
		f.replace("statement removed", s.Pos(), s.End(), strings.TrimPrefix(f.uses(s), "; "))
	}
}

// isZero reports whether e is a constant that is the zero value of its type.
func (f *finder) isZero(e ast.Expr) bool {
	switch v := f.info.Types[e].Value; {
	case v == nil:
		return false
	case v.Kind() == constant.Bool:
		return !constant.BoolVal(v)
	case v.Kind() == constant.String:
		return constant.StringVal(v) == ""
	default:
		return constant.Sign(v) == 0
	}
}

// uses returns a statement that uses the local variables of s, so that removing s leaves none
// unused.
func (f *finder) uses(s ast.Stmt) string {
	var names []string
	ast.Inspect(s, func(n ast.Node) bool {
		if e, ok := n.(*ast.SelectorExpr); ok && f.lastUse(s, e) {
			names = append(names, f.text(e))
		}
		id, ok := n.(*ast.Ident)
		if !ok {
			return true
		}
		v, ok := f.info.Uses[id].(*types.Var)
		if ok && !v.IsField() && v.Parent() != nil && v.Parent() != f.pkg.Scope() &&
			v.Pkg() == f.pkg && (v.Pos() < s.Pos() || v.Pos() > s.End()) &&
			!slices.Contains(names, id.Name) {
			names = append(names, id.Name)
		}
		return true
	})
	if len(names) == 0 {
		return ""
	}
	return "; " + strings.TrimSuffix(strings.Repeat("_, ", len(names)), ", ") + " = " +
		strings.Join(names, ", ")
}

// lastUse reports whether e is a function or variable of a package that only s uses in this file:
// then removing s leaves the import unused.
func (f *finder) lastUse(s ast.Stmt, e *ast.SelectorExpr) bool {
	id, ok := e.X.(*ast.Ident)
	if !ok {
		return false
	}
	imported, ok := f.info.Uses[id].(*types.PkgName)
	if _, isType := f.info.Uses[e.Sel].(*types.TypeName); !ok || isType {
		return false
	}
	for other, object := range f.info.Uses {
		if object == imported && (other.Pos() < s.Pos() || other.Pos() >= s.End()) {
			return false
		}
	}
	return true
}

// clauses drops each clause of a switch or select.
func (f *finder) clauses(body *ast.BlockStmt) {
	for _, clause := range body.List {
		f.replace("clause dropped", clause.Pos(), clause.End(), "")
	}
}

// drop removes one of several expressions from a list that ends before end. One case must remain.
func (f *finder) drop(kind string, list []ast.Expr, end token.Pos) {
	for i, e := range list {
		switch {
		case f.skip[e]:
		case i+1 < len(list):
			f.replace(kind, e.Pos(), list[i+1].Pos(), "")
		case kind != "case dropped":
			f.replace(kind, e.Pos(), end, "")
		case i > 0:
			f.replace(kind, list[i-1].End(), e.End(), "")
		}
	}
}

// negate negates a condition, unless another change does the same.
func (f *finder) negate(cond ast.Expr) {
	switch e := ast.Unparen(cond).(type) {
	case nil:
		return
	case *ast.BinaryExpr:
		if e.Op == token.EQL || e.Op == token.NEQ {
			return
		}
	case *ast.UnaryExpr:
		if e.Op == token.NOT {
			return
		}
	}
	f.replace("condition negated", cond.Pos(), cond.End(), "!("+f.text(cond)+")")
}

func (f *finder) binary(e *ast.BinaryExpr) {
	if to, ok := swaps[e.Op]; ok {
		f.replace("operator swapped", e.OpPos, e.OpPos+token.Pos(len(e.Op.String())), to.String())
	}
	if e.Op == token.LAND || e.Op == token.LOR {
		f.replace("operand dropped", e.Pos(), e.Y.Pos(), "")
		f.replace("operand dropped", e.X.End(), e.End(), "")
	}
}

// literal moves a number by one, and empties a text.
func (f *finder) literal(lit *ast.BasicLit) {
	switch {
	case lit.Kind == token.INT, lit.Kind == token.CHAR:
		if n, err := strconv.Atoi(lit.Value); err == nil {
			f.replace("constant plus one", lit.Pos(), lit.End(), strconv.Itoa(n+1))
		} else {
			f.replace("constant plus one", lit.Pos(), lit.End(), "("+lit.Value+" + 1)")
		}
	case lit.Kind != token.STRING:
	case len(lit.Value) == len(`""`):
		f.replace("text changed", lit.Pos(), lit.End(), `"x"`)
	default:
		f.replace("text changed", lit.Pos(), lit.End(), `""`)
	}
}

// result has a function return the zero value, or the opposite of a bool.
func (f *finder) result(e ast.Expr) {
	t := f.info.TypeOf(e)
	if t == nil {
		return
	}
	text := f.text(e)
	zero := ""
	switch u := t.Underlying().(type) {
	case *types.Basic:
		switch {
		case u.Info()&types.IsBoolean != 0:
			switch e := ast.Unparen(e).(type) {
			case *ast.BinaryExpr:
				if e.Op == token.EQL || e.Op == token.NEQ {
					return // swapped
				}
			case *ast.UnaryExpr:
				return // its sign is dropped
			}
			zero = map[string]string{"true": "false", "false": "true"}[text]
			if zero == "" {
				zero = "!(" + text + ")"
			}
		case f.isZero(e): // under a name, such as LevelNone
		case u.Info()&types.IsNumeric != 0:
			zero = "0"
		case u.Info()&types.IsString != 0:
			zero = `""`
		}
	case *types.Struct, *types.Array:
		zero = types.TypeString(t, f.qualifier) + "{}"
	case *types.Interface, *types.Pointer, *types.Slice, *types.Map, *types.Chan, *types.Signature:
		zero = "nil"
		if _, ok := t.(*types.TypeParam); ok {
			zero = "*new(" + types.TypeString(t, f.qualifier) + ")"
		}
	}
	if zero != "" && zero != text {
		f.replace("result changed", e.Pos(), e.End(), zero)
	}
}

func (f *finder) call(call *ast.CallExpr) {
	switch f.builtin(call) {
	case "panic":
		f.skipTexts(call.Args)
	case "make":
		if n := len(call.Args) - 1; n > 0 {
			_, slice := f.info.TypeOf(call.Args[0]).Underlying().(*types.Slice)
			if !slice || n > 1 { // capacities change only the speed
				f.skip[call.Args[n]] = true
			}
		}
	}
	if f.wording(call) {
		f.skipTexts(call.Args)
		return
	}
	signature, ok := f.info.TypeOf(call.Fun).(*types.Signature)
	if !ok || !signature.Variadic() || call.Ellipsis.IsValid() {
		return
	}
	fixed := signature.Params().Len() - 1
	if len(call.Args) > fixed {
		f.drop("argument dropped", call.Args[fixed:], call.Rparen)
	}
}

// skipTexts skips texts that are arguments of a call by themselves.
func (f *finder) skipTexts(args []ast.Expr) {
	for _, arg := range args {
		ast.Inspect(arg, func(n ast.Node) bool {
			if lit, ok := n.(*ast.BasicLit); ok && lit.Kind == token.STRING {
				f.skip[lit] = true
			}
			_, call := n.(*ast.CallExpr)
			return !call
		})
	}
}

// wording reports whether the arguments of the call are texts for people.
func (f *finder) wording(call *ast.CallExpr) bool {
	var id *ast.Ident
	switch fun := ast.Unparen(call.Fun).(type) {
	case *ast.Ident:
		id = fun
	case *ast.SelectorExpr:
		id = fun.Sel
	default:
		return false
	}
	fn, ok := f.info.Uses[id].(*types.Func)
	if !ok || fn.Pkg() == nil {
		return false
	}
	switch fn.Pkg().Path() {
	case "log/slog":
		return true
	case "errors":
		return fn.Name() == "New"
	case "fmt":
		return fn.Name() == "Errorf"
	}
	return fn.Name() == "WithDescription"
}

// builtin returns the name of the builtin function of the call, or "".
func (f *finder) builtin(call *ast.CallExpr) string {
	if id, ok := call.Fun.(*ast.Ident); ok {
		if b, ok := f.info.Uses[id].(*types.Builtin); ok {
			return b.Name()
		}
	}
	return ""
}

// qualifier returns the name of another package as files that import it write it.
func (f *finder) qualifier(p *types.Package) string {
	if p == f.pkg {
		return ""
	}
	return p.Name()
}
