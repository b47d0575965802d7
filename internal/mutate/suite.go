package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path"
	"slices"
)

// suites are the packages whose tests hold the promise, the quick ones first.
var suites = []string{
	"./guance", "./pagerduty", "./relay", "./relay/pagerdutysink",
	"./internal/simulate", "./relay/boltstore", "./relay/relaytest", "./examples/server",
}

// test runs a suite and returns the first test that fails, "" if all pass. That a suite does not build or cannot be run is an error.
func test(suite, overlay string) (failed string, err error) {
	// No drill: it builds the standard library anew and takes a minute of real time.
	// No examples: they run after a failure too, and what a bug has hang there takes the whole timeout.
	cmd := exec.Command("go", "test", "-json", "-p=1", "-failfast", "-run=^(Test|Fuzz)", "-skip=^TestDrill$", "-vet=off", "-timeout=3m", "-overlay="+overlay, suite)
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

// firstFailure reads what go test -json wrote. A test that takes the process down with it is one that began last and did not end.
func firstFailure(out []byte) (string, error) {
	var running []string
	for d := json.NewDecoder(bytes.NewReader(out)); ; {
		var e struct{ Action, Test, FailedBuild string }
		err := d.Decode(&e)
		switch {
		case err == io.EOF && len(running) > 0:
			return running[len(running)-1], nil
		case err == io.EOF:
			return "", fmt.Errorf("the suite failed and no test of it did:\n%s", out)
		case err != nil:
			return "", fmt.Errorf("reading what go test wrote: %w", err)
		case e.FailedBuild != "":
			return "", fmt.Errorf("it does not compile:\n%s", out)
		case e.Test == "":
		case e.Action == "run":
			running = append(running, e.Test)
		case e.Action == "fail":
			return e.Test, nil
		case e.Action == "pass", e.Action == "skip":
			running = slices.DeleteFunc(running, func(name string) bool { return name == e.Test })
		}
	}
}
