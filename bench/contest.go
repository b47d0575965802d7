package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"
)

// A contest is work that several sides do, each for itself.
type contest struct {
	name  string // as benchmarks are named: Ingest/conns=64
	about string // what is measured, in a sentence for the table
	base  string // the side that the others are compared with
	sides []side
	units []string // the table's columns
	goals []goal
}

// A side does a contest's work once, for as long as b.Loop says, and reports its figures.
type side struct {
	name string
	run  func(b *testing.B) error
}

// errAbsent is what a side returns whose program is not on this machine.
var errAbsent = errors.New("not on this machine")

// A goal is what a side must reach.
type goal struct {
	side string
	unit string
	of   string // the side it is divided by; empty: it counts by itself
	min  float64
	max  float64 // zero: min counts
	text string
}

// size is how much there is to do.
type size struct {
	burst   int // requests of each connection between two looks at the clock
	backlog int // entries of a large backlog

	problems int // that begin and end, of all connections together
	probes   int // new problems between two looks at the clock
	budget   int // requests that a slow target takes in a minute
}

var full = size{burst: 16, backlog: 1_000_000, problems: 4096, probes: 8, budget: 120}

// measure runs the chosen contests round by round and writes a line for each side.
func measure(all []contest, chosen *regexp.Regexp, rounds int, raw string) (*results, error) {
	var out io.Writer = os.Stderr
	if raw != "" {
		f, err := os.Create(raw)
		if err != nil {
			return nil, err
		}
		defer f.Close()
		out = io.MultiWriter(f, os.Stderr)
	}
	r := &results{}
	if err := r.begin(out, machine(rounds)); err != nil {
		return nil, err
	}
	for round := range rounds {
		for _, c := range all {
			for i := range c.sides {
				s := c.sides[(i+round)%len(c.sides)] // who follows whom must not matter
				if !chosen.MatchString(c.name + "/side=" + s.name) {
					continue
				}
				line, err := c.play(s)
				if errors.Is(err, errAbsent) {
					fmt.Fprintf(os.Stderr, "# %s: %s: %v\n", c.name, s.name, err)
					continue
				}
				if err != nil {
					return nil, fmt.Errorf("%s: %s: %w", c.name, s.name, err)
				}
				if err := r.add(out, line); err != nil {
					return nil, err
				}
			}
		}
	}
	return r, nil
}

// play has one side do the work and returns the line that go test would print.
func (c *contest) play(s side) (line string, err error) {
	err = errors.New("it did not run")
	result := testing.Benchmark(func(b *testing.B) {
		if err = s.run(b); err != nil {
			b.FailNow() // says nothing by itself
		}
	})
	if err != nil {
		return "", err
	}
	if result.N == 0 {
		return "", errors.New("it failed without an error: the loop was left early")
	}
	line = fmt.Sprintf("Benchmark%s/side=%s-%d", c.name, s.name, runtime.GOMAXPROCS(0))
	return line + strings.TrimRight(result.String(), "\n") + "\n", nil
}

// machine says where and when, in the form of benchmark results: key: value.
func machine(rounds int) string {
	text := fmt.Sprintf("date: %s\nrounds: %d\ngo: %s\ngoos: %s\ngoarch: %s\ncpus: %d\n",
		time.Now().UTC().Format(time.DateOnly), rounds,
		runtime.Version(), runtime.GOOS, runtime.GOARCH, runtime.NumCPU())
	if commit, err := exec.Command("git", "describe", "--always", "--dirty",
		"--abbrev=12").Output(); err == nil {
		text += "commit: " + string(commit)
	}
	for line := range strings.Lines(readString("/proc/cpuinfo")) {
		if name, model, _ := strings.Cut(line, ":"); strings.TrimSpace(name) == "model name" {
			text += "cpu: " + strings.TrimSpace(model) + "\n"
			break
		}
	}
	return text
}

func readString(path string) string {
	text, _ := os.ReadFile(path) // what is not there is left out
	return string(text)
}

// percentile sorts list and returns the p-th of a hundred.
func percentile(list []time.Duration, p int) time.Duration {
	if len(list) == 0 {
		return 0
	}
	slices.Sort(list)
	return list[min(len(list)*p/100, len(list)-1)]
}
