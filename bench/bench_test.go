package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"testing"
)

func TestMain(m *testing.M) {
	if role := os.Getenv(roleVariable); role != "" {
		if err := play(role); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	// Each server would wait a second at its end for what the race detector may still have to say.
	if err := os.Setenv("GORACE", "atexit_sleep_ms=10"); err != nil {
		panic(err)
	}
	code := m.Run()
	removeBuilt()
	os.Exit(code)
}

// Nothing is timed here: every side does its work for an instant, so that none of them is broken
// when somebody wants the figures.
func TestEachContest(t *testing.T) {
	if err := flag.Set("test.benchtime", "1x"); err != nil {
		t.Fatal(err)
	}
	all := contests(size{burst: 2, backlog: 500, problems: 64, probes: 1, budget: 6000})
	for _, c := range all {
		t.Run(c.name, func(t *testing.T) {
			r := &results{}
			if err := r.begin(io.Discard, ""); err != nil {
				t.Fatal(err)
			}
			for _, s := range c.sides {
				line, err := c.play(s)
				if errors.Is(err, errAbsent) {
					t.Log(err)
					continue
				}
				if err != nil {
					t.Fatalf("%s: %v", s.name, err)
				}
				if err := r.add(io.Discard, line); err != nil {
					t.Fatal(err)
				}
				for _, unit := range c.units {
					if _, ok := r.of(figure{c.name, s.name, unit}, ""); !ok {
						t.Errorf("%s reports no %s: %s", s.name, unit, line)
					}
				}
			}
		})
	}
}
