package main

import (
	"encoding/binary"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// stepped is the source of a file that is added to package time. It adds seconds to the wall clock,
// not to the monotonic one, and reads them from eight bytes of a file that another process writes.
// Libfaketime has no effect on a Go program, which calls the kernel without libc.
const stepped = `package time

import (
	"syscall"
	"unsafe"
)

var clockStep = func() *int64 {
	path, ok := syscall.Getenv("DRILL_CLOCK")
	if !ok {
		return new(int64)
	}
	fd, err := syscall.Open(path, syscall.O_RDONLY, 0)
	if err != nil {
		panic("DRILL_CLOCK: " + err.Error())
	}
	page, err := syscall.Mmap(fd, 0, 8, syscall.PROT_READ, syscall.MAP_SHARED)
	if err != nil {
		panic("DRILL_CLOCK: " + err.Error())
	}
	return (*int64)(unsafe.Pointer(&page[0]))
}()

func stepOfClock() int64 {
	if clockStep == nil { // before the initialization of the package
		return 0
	}
	return *clockStep
}
`

// buildStepped builds the server with a package time whose wall clock a drillClock sets. The source
// of the package is that of the installed Go.
func buildStepped(t *testing.T) (binary string) {
	t.Helper()
	root, err := exec.CommandContext(t.Context(), "go", "env", "GOROOT").Output()
	if err != nil {
		t.Fatal(err)
	}
	source := filepath.Join(strings.TrimSpace(string(root)), "src", "time")
	text, err := os.ReadFile(filepath.Join(source, "time.go"))
	if err != nil {
		t.Fatal(err)
	}
	const now = "func Now() Time {\n\tsec, nsec, mono := runtimeNow()\n"
	if strings.Count(string(text), now) != 1 {
		t.Fatalf("time.Now of this Go does not begin with\n%s", now)
	}
	dir := t.TempDir()
	write(t, filepath.Join(dir, "time.go"),
		strings.Replace(string(text), now, now+"\tsec += stepOfClock()\n", 1))
	write(t, filepath.Join(dir, "stepped.go"), stepped)
	overlay, err := json.Marshal(map[string]map[string]string{"Replace": {
		filepath.Join(source, "time.go"):     filepath.Join(dir, "time.go"),
		filepath.Join(source, "zstepped.go"): filepath.Join(dir, "stepped.go"),
	}})
	if err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(dir, "overlay.json"), string(overlay))
	binary = filepath.Join(dir, "server")
	cmd := exec.CommandContext(t.Context(), "go", "build", "-overlay",
		filepath.Join(dir, "overlay.json"), "-o", binary, ".")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v:\n%s", err, out)
	}
	return binary
}

// A drillClock is the file that a stepped server reads.
type drillClock string

func newDrillClock(t *testing.T) drillClock {
	t.Helper()
	c := drillClock(filepath.Join(t.TempDir(), "clock"))
	write(t, string(c), string(make([]byte, 8)))
	return c
}

// step sets how far the wall clock is off.
func (c drillClock) step(t *testing.T, by time.Duration) {
	t.Helper()
	f, err := os.OpenFile(string(c), os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := f.WriteAt(binary.NativeEndian.AppendUint64(nil, uint64(int64(by/time.Second))),
		0); err != nil {
		t.Fatal(err)
	}
}
