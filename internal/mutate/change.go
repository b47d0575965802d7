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
	kind       string // what is done: "statement removed"
	line       int
	start, end int // the bytes of the file that it replaces
	text       string
}

// apply returns the file with the change made.
func (c *change) apply(source []byte) []byte {
	return append(append(bytes.Clone(source[:c.start]), c.text...), source[c.end:]...)
}

// String tells where the change is.
func (c *change) String() string {
	return fmt.Sprintf("%s:%d %s: %s", c.file, c.line, c.within, c.kind)
}

// key is what the change is known by in the list of accepted changes. It holds no line number, because those move with every edit of the
// file. The same edit of two equal lines in one function has one key.
func (c *change) key(source []byte) string { return c.dir + " " + c.within + "\n" + c.diff(source) }

// diff returns the lines that the change touches, as they are after a minus and as they become after a plus, without indentation.
func (c *change) diff(source []byte) string {
	first := bytes.LastIndexByte(source[:c.start], '\n') + 1
	last := len(source)
	if i := bytes.IndexByte(source[c.end:], '\n'); i >= 0 {
		last = c.end + i
	}
	before, after := string(source[first:last]), string(source[first:c.start])+c.text+string(source[c.end:last])
	return mark("- ", before) + mark("+ ", after)
}

// mark puts a sign before each line that is not empty.
func mark(sign, text string) string {
	var b strings.Builder
	for line := range strings.Lines(text) {
		if line = strings.TrimSpace(line); line != "" {
			b.WriteString(sign + line + "\n")
		}
	}
	return b.String()
}
