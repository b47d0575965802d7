// Command bench compares this project with other programs, and with the least that its work can
// cost. All sides run on one machine, in one run:
//
//	export GOWORK=off                       bench is a module of its own, outside the workspace
//	go run -C bench .                       all contests, five rounds
//	go run -C bench . -only 'Ingest|Store'  some of them
//	go run -C bench . -raw out.txt          keep the lines of all rounds, in benchstat's format
//	go run -C bench . -from out.txt         print the table of lines that were kept
//	go run -C bench . -publish ../docs      write docs/performance.txt and docs/performance.md
//
// All contests take an hour and 6 GB of disk. Nothing else may run on the machine. Files are named
// from the directory bench, where the command must run.
//
// Machines differ and do other work too, so a time alone says nothing. The sides of a contest do
// the same work in turn, A B A B. What counts is the ratio of two sides of one round: its median
// over the rounds, and its spread. Servers, peers and targets are processes of their own, so memory
// and processor time are counted for each. The load comes from this process, on the same cores.
//
// It needs Linux, for /proc, and the go command, which builds the servers. Peers that are not
// installed are left out: Alertmanager is Debian's package prometheus-alertmanager.
package main

import (
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"testing"
	"time"
)

func main() {
	if role := os.Getenv(roleVariable); role != "" {
		if err := play(role); err != nil {
			fmt.Fprintln(os.Stderr, "bench:", err)
			os.Exit(1)
		}
		return
	}
	err := command(os.Args[1:], os.Stdout)
	removeBuilt()
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func command(args []string, stdout io.Writer) error {
	testing.Init() // the sides are benchmarks
	flags := flag.NewFlagSet("bench", flag.ContinueOnError)
	rounds := flags.Int("rounds", 5, "how often each side is measured")
	every := flags.Duration("time", 2*time.Second, "how long each side of a round is measured, "+
		"where it has no end of its own")
	only := flags.String("only", "", "the sides, such as Ingest/conns=64/side=bare, whose names "+
		"match this regular `expression`")
	raw := flags.String("raw", "", "the `file` for the lines of each round, beside the standard "+
		"error")
	from := flags.String("from", "", "the `file` with such lines to make the table of, in place "+
		"of measuring")
	profile := flags.String("profile", "", "the `directory` for a profile of the processor time "+
		"of each server that is part of this program")
	publish := flags.String("publish", "", "the `directory` whose performance.txt and "+
		"performance.md take lines and table")
	if err := flags.Parse(args); err != nil {
		return err
	}
	chosen, err := regexp.Compile(*only)
	if err != nil {
		return err
	}
	if err := flag.Set("test.benchtime", every.String()); err != nil {
		return err
	}
	if *publish != "" {
		*raw = filepath.Join(*publish, "performance.txt")
	}
	if *profile != "" {
		if err := os.Setenv(profileVariable, *profile); err != nil {
			return err
		}
	}
	all := contests(full)
	var results *results
	if *from != "" {
		results, err = readResults(*from)
	} else {
		results, err = measure(all, chosen, *rounds, *raw)
	}
	if err != nil {
		return err
	}
	table := results.table(all)
	if *publish != "" {
		return insert(filepath.Join(*publish, "performance.md"), table)
	}
	_, err = io.WriteString(stdout, table)
	return err
}

// contests are all there are, in the order of the table.
func contests(s size) (all []contest) {
	for _, some := range [][]contest{
		ingest(s),
		decoding(),
		encoding(),
		sending(),
		peers(s),
		storing(s),
		routed(s),
		backlog(s),
		latency(s),
		several(s),
		growth(s),
		consoles(s),
	} {
		all = append(all, some...)
	}
	return all
}
