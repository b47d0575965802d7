package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"go/build"
	"os"
	"path/filepath"
	"strings"
)

// A mutation is one deliberate bug.
type mutation struct {
	promise  string // the number of the one it breaks; – for access and secrets
	name     string // what is wrong in the code
	means    string // what a user would see
	dir      string // of the package
	old, new string // the files of the package, without tests, hold old exactly once
}

// apply returns the file that the bug is in, with the bug. Root is the root of the module.
func (m *mutation) apply(root string) (file string, mutant []byte, err error) {
	dir := filepath.Join(root, m.dir)
	p, err := build.ImportDir(dir, 0)
	if err != nil {
		return "", nil, err
	}
	found := 0
	for _, name := range p.GoFiles {
		source, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			return "", nil, err
		}
		if n := strings.Count(string(source), m.old); n > 0 {
			found += n
			file, mutant = filepath.Join(dir, name),
				[]byte(strings.Replace(string(source), m.old, m.new, 1))
		}
	}
	if found != 1 {
		return "", nil, fmt.Errorf("%s holds the text %d times instead of once; let the mutation "+
			"follow the code:\n%s", m.dir, found, m.old)
	}
	return file, mutant, nil
}

// row returns the beginning of the mutation's row in the table.
func (m *mutation) row() string {
	return fmt.Sprintf("| %s | %s | %s |", m.promise, m.name, m.means)
}

// hunt runs the suites on the bug and returns the first test that fails, "" if all pass.
func (m *mutation) hunt() (caught string, err error) {
	file, mutant, err := m.apply(".")
	if err != nil {
		return "", err
	}
	return hunt(m.dir, file, mutant, suites, nil)
}

// overlay writes an overlay for the go command, with the mutant in place of the file, and calls
// use.
func overlay(file string, mutant []byte, use func(overlay string) error) (err error) {
	dir, err := os.MkdirTemp("", "mutate")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	source, overlay := filepath.Join(dir, filepath.Base(file)), filepath.Join(dir, "overlay.json")
	text, err := json.Marshal(map[string]any{"Replace": map[string]string{file: source}})
	if err != nil {
		return err
	}
	if err := errors.Join(os.WriteFile(source, mutant, 0o600),
		os.WriteFile(overlay, text, 0o600)); err != nil {
		return err
	}
	return use(overlay)
}
