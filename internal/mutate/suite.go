package main

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path"
	"slices"
	"time"
)

// suites are the packages whose tests hold the promise, the quick ones first.
var suites = []string{
	"./guance", "./pagerduty", "./relay/internal/schedule", "./relay", "./relay/pagerdutysink",
	"./internal/simulate", "./relay/boltstore", "./relay/relaytest", "./cmd/guance-relay",
}

// hunt runs the tests on a mutant of a file of the package in dir: first the package's own, then
// the suites. It returns the first test that fails, "" if all pass. A suite without a limit has
// timeout. A suite of another package must fail twice, as a test may fail once on a busy machine.
func hunt(
	dir, file string, mutant []byte, suites []string, limits map[string]time.Duration,
	flags ...string,
) (caught string, err error) {
	own := "./" + dir
	others := slices.DeleteFunc(slices.Clone(suites), func(s string) bool { return s == own })
	err = overlay(file, mutant, func(overlay string) (err error) {
		for _, s := range append([]string{own}, others...) {
			limit := cmp.Or(limits[s], timeout)
			caught, err = test(s, overlay, limit, flags...)
			if caught != "" && s != own {
				caught, err = test(s, overlay, limit, flags...)
			}
			if caught != "" || err != nil {
				return err
			}
		}
		return nil
	})
	return caught, err
}

// timeout is how long a suite may take by default.
const timeout = 3 * time.Minute

// bounded limits the address space of a test binary to 8 GiB, where the shell can: a loop that a
// change made endless may allocate in each round.
const bounded = `-exec=sh -c 'ulimit -v 8388608 2>/dev/null; exec "$0" "$@"'`

// test runs a suite and returns the first test that fails, "" if all pass. A suite that does not
// build is an error.
func test(suite, overlay string, limit time.Duration, flags ...string) (failed string, err error) {
	// Without the drill, which builds the standard library again and takes a minute of real time.
	// Without examples, which run after a failure too: one that hangs takes the whole timeout.
	args := append([]string{"test", "-json", "-p=1", "-failfast", "-run=^(Test|Fuzz)",
		"-skip=^TestDrill$", "-vet=off", bounded,
		"-timeout=" + limit.String(), "-overlay=" + overlay}, flags...)
	cmd := exec.Command("go", append(args, suite)...)
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err == nil {
		return "", nil
	}
	if _, exited := errors.AsType[*exec.ExitError](err); !exited {
		return "", err
	}
	if failed, err = firstFailure(out); err != nil {
		return "", err
	}
	return path.Base(suite) + "." + failed, nil
}

// firstFailure reads the output of go test -json. If the process crashed, the test that began last
// and did not end has failed.
func firstFailure(out []byte) (string, error) {
	var running []string
	started := false
	for d := json.NewDecoder(bytes.NewReader(out)); ; {
		var e struct{ Action, Test, FailedBuild string }
		err := d.Decode(&e)
		switch {
		case err == io.EOF && len(running) > 0:
			return running[len(running)-1], nil
		case err == io.EOF && started:
			return "init", nil // the program ended before its first test
		case err == io.EOF:
			return "", fmt.Errorf("the suite failed and no test of it did:\n%s", out)
		case err != nil:
			return "", fmt.Errorf("reading what go test wrote: %w", err)
		case e.FailedBuild != "":
			return "", fmt.Errorf("it does not compile:\n%s", out)
		case e.Test == "":
			started = started || e.Action == "start"
		case e.Action == "run":
			running = append(running, e.Test)
		case e.Action == "fail":
			return e.Test, nil
		case e.Action == "pass", e.Action == "skip":
			running = slices.DeleteFunc(running, func(name string) bool { return name == e.Test })
		}
	}
}
