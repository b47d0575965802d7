package main

import (
	"bytes"
	"fmt"
	"strings"
)

// A change is one small edit of a function, a type or a table.
type change struct {
	dir, file  string // the package and the file in it, by paths from the root of the module
	within     string // the function, or the first name that a declaration declares
	kind       string // such as "statement removed"
	line       int
	start, end int // the bytes of the file that it replaces
	text       string
}

// apply returns the file with the change made.
func (c *change) apply(source []byte) []byte {
	return append(append(bytes.Clone(source[:c.start]), c.text...), source[c.end:]...)
}

// String returns the place and kind of the change.
func (c *change) String() string {
	return fmt.Sprintf("%s:%d %s: %s", c.file, c.line, c.within, c.kind)
}

// key identifies the change in the list of accepted changes. It has no line number, because those
// move with every edit of the file. The same edit of two equal lines in one function has one key.
func (c *change) key(source []byte) string { return c.dir + " " + c.within + "\n" + c.diff(source) }

// diff returns the changed lines before (-) and after (+), without indentation.
func (c *change) diff(source []byte) string {
	first := bytes.LastIndexByte(source[:c.start], '\n') + 1
	last := len(source)
	if i := bytes.IndexByte(source[c.end:], '\n'); i >= 0 {
		last = c.end + i
	}
	before, after := string(source[first:last]),
		string(source[first:c.start])+c.text+string(source[c.end:last])
	return prefix("- ", before) + prefix("+ ", after)
}

// prefix puts a sign before each line that is not empty.
func prefix(sign, text string) string {
	var b strings.Builder
	for line := range strings.Lines(text) {
		if line = strings.TrimSpace(line); line != "" {
			b.WriteString(sign + line + "\n")
		}
	}
	return b.String()
}
