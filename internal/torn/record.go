package torn

import (
	"bufio"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
)

// A Kind is what an [Op] does.
type Kind int

// The kinds of operations.
const (
	Write  Kind = iota // Data at Offset
	Resize             // sets the size to Size
	Grow               // makes the size at least Size
	Sync               // everything that was done before it began is now safe
	Output             // Data was written to the standard output
)

// An Op is one operation of a program.
type Op struct {
	Kind   Kind
	Offset int64
	Size   int64
	Data   []byte
}

// Record runs the program args with the environment env. It returns what the program did to the
// file at path, which must exist, and what it wrote to its standard output. A program that ends by
// itself with an error is not an error here.
func Record(args, env []string, path string) (_ []Op, err error) {
	dir, err := os.MkdirTemp("", "torn-")
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	log := filepath.Join(dir, "trace")
	trace := []string{"-f", "-y", "-xx", "-s", strconv.Itoa(64 << 20), "-e",
		"trace=pwrite64,write,fdatasync,fsync,ftruncate,fallocate", "-e", "signal=none", "-o", log}
	cmd := exec.Command("strace", append(trace, args...)...)
	cmd.Env = env
	var stderr strings.Builder
	cmd.Stderr = &stderr
	if err := cmd.Run(); err != nil {
		return nil, fmt.Errorf("torn: strace: %w: %s", err, stderr.String())
	}
	f, err := os.Open(log)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	return parse(f, path)
}

var (
	lineForm    = regexp.MustCompile(`^(\d+) +(.*)$`)
	resumedForm = regexp.MustCompile(`^<\.\.\. \w+ resumed>(.*)$`)
	callForm    = regexp.MustCompile(`^(\w+)\((\d+)<([^>]*)>(.*)$`)
	writeForm   = regexp.MustCompile(`^, "([^"]*)", (\d+)(?:, (\d+))?`)
	resultForm  = regexp.MustCompile(`\) += (-?\d+)`)
)

// parse reads a trace. Other threads may interrupt a call. A write may reach the disk as soon as it
// begins, so it counts when it begins. A sync protects only when it has ended, so it counts then.
func parse(r io.Reader, path string) (ops []Op, err error) {
	lines := bufio.NewReaderSize(r, 1<<20)
	begun := make(map[string]string) // the call in progress, by thread
	for {
		text, err := lines.ReadString('\n')
		if errors.Is(err, io.EOF) {
			return ops, nil
		}
		if err != nil {
			return nil, err
		}
		m := lineForm.FindStringSubmatch(strings.TrimSuffix(text, "\n"))
		if m == nil {
			continue
		}
		thread, call := m[1], m[2]
		begins, ends := true, true
		if head, ok := strings.CutSuffix(call, " <unfinished ...>"); ok {
			begun[thread], call, ends = head, head, false
		} else if m := resumedForm.FindStringSubmatch(call); m != nil {
			call, begins = begun[thread]+m[1], false
			delete(begun, thread)
		}
		op, ok, err := opOf(call, path)
		if err != nil {
			return nil, err
		}
		if ok && ends && !succeeded(call) {
			return nil, fmt.Errorf("torn: a call failed: %.80s", call)
		}
		countsAtEnd := op.Kind == Sync || op.Kind == Output
		if ok && (countsAtEnd && ends || !countsAtEnd && begins) {
			ops = append(ops, op)
		}
	}
}

func succeeded(call string) bool {
	m := resultForm.FindAllStringSubmatch(call, -1)
	return len(m) > 0 && !strings.HasPrefix(m[len(m)-1][1], "-")
}

// opOf parses one call, if it is about the file or the standard output.
func opOf(call, path string) (op Op, ok bool, err error) {
	m := callForm.FindStringSubmatch(call)
	if m == nil {
		return op, false, nil
	}
	name, fd, args := m[1], m[2], m[4]
	file, err := unquote(m[3])
	if err != nil {
		return op, false, err
	}
	about := string(file) == path
	switch {
	case name == "write" && fd == "1":
		op.Kind = Output
	case !about:
		return op, false, nil
	case name == "fsync", name == "fdatasync":
		return Op{Kind: Sync}, true, nil
	case name == "ftruncate":
		op.Kind = Resize
		_, err = fmt.Sscanf(args, ", %d", &op.Size)
		return op, true, err
	case name == "fallocate":
		var off, n int64
		_, err = fmt.Sscanf(args, ", 0, %d, %d", &off, &n)
		return Op{Kind: Grow, Size: off + n}, true, err
	case name != "pwrite64":
		return op, false, fmt.Errorf("torn: %s moves the file's position: not understood", name)
	}
	w := writeForm.FindStringSubmatch(args)
	if w == nil {
		return op, false, fmt.Errorf("torn: a write that is not understood: %.80s", call)
	}
	if op.Data, err = unquote(w[1]); err != nil {
		return op, false, err
	}
	if strconv.Itoa(len(op.Data)) != w[2] {
		return op, false, fmt.Errorf("torn: a write of %s bytes is shown with %d", w[2], len(op.Data))
	}
	if w[3] != "" {
		op.Offset, err = strconv.ParseInt(w[3], 10, 64)
	}
	return op, true, err
}

// unquote decodes a text of \x escapes.
func unquote(s string) ([]byte, error) {
	b, err := hex.DecodeString(strings.ReplaceAll(s, `\x`, ""))
	if err != nil {
		return nil, fmt.Errorf("torn: a text that is not understood: %w", err)
	}
	return b, nil
}
