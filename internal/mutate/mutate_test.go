package main

import (
	"bytes"
	"encoding/json"
	"go/ast"
	"go/build"
	"go/importer"
	"go/parser"
	"go/token"
	"go/types"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

const root = "../.."

// Every mutation applies to the code as it is, compiles, and stands in docs/guarantees.md.
func TestMutationsApply(t *testing.T) {
	published, err := os.ReadFile(filepath.Join(root, "docs", "guarantees.md"))
	if err != nil {
		t.Fatal(err)
	}
	fset := token.NewFileSet()
	imports := importer.ForCompiler(fset, "gc", exports(t))
	for _, m := range mutations {
		t.Run(m.name, func(t *testing.T) {
			file, mutant, err := m.apply(root)
			if err != nil {
				t.Fatal(err)
			}
			if err := check(fset, imports, filepath.Join(root, m.dir), file, mutant); err != nil {
				t.Errorf("it does not compile: %v", err)
			}
			if row := m.row(); !bytes.Contains(published, []byte(row)) {
				t.Errorf("docs/guarantees.md has no row that begins with %s", row)
			}
		})
	}
}

// check type-checks the package in dir with one of its files replaced.
func check(fset *token.FileSet, imports types.Importer, dir, file string, mutant []byte) error {
	p, err := build.ImportDir(dir, 0)
	if err != nil {
		return err
	}
	var files []*ast.File
	for _, name := range p.GoFiles {
		name = filepath.Join(dir, name)
		var source any
		if name == file {
			source = mutant
		}
		f, err := parser.ParseFile(fset, name, source, parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		files = append(files, f)
	}
	_, err = (&types.Config{Importer: imports}).Check(dir, fset, files, nil)
	return err
}

// exports looks up what the compiler has written of each package that the module is built of.
func exports(t *testing.T) importer.Lookup {
	cmd := exec.Command("go", "list", "-export", "-deps", "-json=ImportPath,Export", "./...",
		"./cmd/guance-relay")
	cmd.Dir, cmd.Stderr = root, os.Stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	files := make(map[string]string)
	for d := json.NewDecoder(bytes.NewReader(out)); d.More(); {
		var p struct{ ImportPath, Export string }
		if err := d.Decode(&p); err != nil {
			t.Fatal(err)
		}
		files[p.ImportPath] = p.Export
	}
	return func(path string) (io.ReadCloser, error) { return os.Open(files[path]) }
}

func TestFirstFailure(t *testing.T) {
	tests := map[string]struct{ out, want, err string }{
		"a subtest": {`{"Action":"run","Test":"A"}{"Action":"pass","Test":"A"}{"Action":"run","Test":"B"}{"Action":"run","Test":"B/c"}
			{"Action":"fail","Test":"B/c"}{"Action":"fail","Test":"B"}{"Action":"fail"}`, "B/c", ""},
		"a panic":  {`{"Action":"run","Test":"A"}{"Action":"skip","Test":"A"}{"Action":"run","Test":"B"}{"Action":"output","Test":"B"}{"Action":"fail"}`, "B", ""},
		"no build": {`{"Action":"build-output"}{"Action":"build-fail"}{"Action":"fail","FailedBuild":"p"}`, "", "does not compile"},
		"no test":  {`{"Action":"fail"}`, "", "no test of it did"},
		"not JSON": {`panic`, "", "reading"},
		"nothing":  {``, "", "no test of it did"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			got, err := firstFailure([]byte(test.out))
			if got != test.want || (err != nil) != (test.err != "") || err != nil &&
				!strings.Contains(err.Error(), test.err) {
				t.Errorf("got %q, %v, want %q, %q", got, err, test.want, test.err)
			}
		})
	}
}
