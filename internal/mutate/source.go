package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"go/ast"
	"go/importer"
	"go/parser"
	"go/token"
	"go/types"
	"io"
	"os"
	"os/exec"
	"path/filepath"
)

// A source is a package, parsed and type-checked.
type source struct {
	dir     string // from the root of the module
	path    string
	fset    *token.FileSet
	names   []string // of the files, from the root of the module
	texts   map[string][]byte
	files   map[string]*ast.File
	imports types.Importer
	pkg     *types.Package
	info    *types.Info
}

// load reads the packages in dirs, which are paths from root. The go command builds their imports.
func load(root string, dirs []string) ([]*source, error) {
	args := []string{"list", "-export", "-deps", "-json=ImportPath,Export,Dir,GoFiles,DepOnly"}
	for _, dir := range dirs {
		args = append(args, "./"+filepath.ToSlash(filepath.Clean(dir)))
	}
	cmd := exec.Command("go", args...)
	cmd.Dir, cmd.Stderr = root, os.Stderr
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("go list: %w", err)
	}
	root, err = filepath.Abs(root)
	if err != nil {
		return nil, err
	}
	exports := make(map[string]string)
	imports := importer.ForCompiler(token.NewFileSet(), "gc",
		func(path string) (io.ReadCloser, error) { return os.Open(exports[path]) })
	var sources []*source
	for d := json.NewDecoder(bytes.NewReader(out)); d.More(); {
		var p struct {
			ImportPath, Export, Dir string
			GoFiles                 []string
			DepOnly                 bool
		}
		if err := d.Decode(&p); err != nil {
			return nil, fmt.Errorf("reading what go list wrote: %w", err)
		}
		exports[p.ImportPath] = p.Export
		if p.DepOnly {
			continue
		}
		dir, err := filepath.Rel(root, p.Dir)
		if err != nil {
			return nil, err
		}
		s := &source{dir: filepath.ToSlash(dir), path: p.ImportPath, imports: imports}
		for _, name := range p.GoFiles {
			s.names = append(s.names, filepath.ToSlash(filepath.Join(dir, name)))
		}
		sources = append(sources, s)
	}
	for _, s := range sources {
		if err := s.read(root); err != nil {
			return nil, err
		}
	}
	return sources, nil
}

func (s *source) read(root string) (err error) {
	s.fset, s.texts, s.files = token.NewFileSet(), make(map[string][]byte),
		make(map[string]*ast.File)
	for _, name := range s.names {
		if s.texts[name], err = os.ReadFile(filepath.Join(root, name)); err != nil {
			return err
		}
		if s.files[name], err = parser.ParseFile(s.fset, name, s.texts[name],
			parser.SkipObjectResolution); err != nil {
			return err
		}
	}
	s.info = &types.Info{
		Types: make(map[ast.Expr]types.TypeAndValue), Uses: make(map[*ast.Ident]types.Object),
		Defs: make(map[*ast.Ident]types.Object),
	}
	s.pkg, err = s.check(s.files, s.info)
	return err
}

func (s *source) check(files map[string]*ast.File, info *types.Info) (*types.Package, error) {
	var list []*ast.File
	for _, name := range s.names {
		list = append(list, files[name])
	}
	return (&types.Config{Importer: s.imports}).Check(s.path, s.fset, list, info)
}

// changes lists all changes of the package, also those that do not compile, in the order of the
// text.
func (s *source) changes() []change {
	var all []change
	for _, name := range s.names {
		f := finder{fset: s.fset, info: s.info, pkg: s.pkg, source: s.texts[name],
			base: change{dir: s.dir, file: name}, skip: make(map[ast.Node]bool)}
		all = append(all, f.find(s.files[name])...)
	}
	return all
}

// compiles reports whether the package compiles with the change.
func (s *source) compiles(c *change) bool {
	file, err := parser.ParseFile(s.fset, c.file, c.apply(s.texts[c.file]),
		parser.SkipObjectResolution)
	if err != nil {
		return false
	}
	files := make(map[string]*ast.File)
	for name, f := range s.files {
		files[name] = f
	}
	files[c.file] = file
	_, err = s.check(files, nil)
	return err == nil
}
