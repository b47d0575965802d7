//go:build unix

// Failover shows that several nodes on one PostgreSQL keep the promise when any of them dies. It
// needs PostgreSQL (initdb and pg_basebackup) and a minute or two for ten rounds:
//
//	go run ./cmd/guance-relay/internal/failover
//
// It builds the server and starts three of it, on a PostgreSQL with a synchronous standby, and
// posts alerts through a balancer. At random instants it
//
//   - kills the node that sends (SIGKILL), or stops it until another one sends (SIGSTOP, SIGCONT),
//     or ends it (SIGTERM);
//   - crashes the primary, or freezes it as a machine that hangs, and promotes its standby.
//
// What is gone is started again, a new standby too. At the end the history checker judges every
// alert that was answered with 202 and every request that a fake PagerDuty got. It prints a table.
// The status is 1 if a promise was broken; then the logs of the nodes are kept.
package main

import (
	"context"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"os/signal"
	"syscall"
)

func main() {
	p := &plan{}
	for what, f := range [disruptions]struct {
		name   string
		rounds int
	}{{"kills", 20}, {"stops", 20}, {"terms", 10}, {"crashes", 5}, {"hangs", 5}} {
		flag.IntVar(&p.rounds[what], f.name, f.rounds, "rounds of: "+names[what])
	}
	flag.Uint64Var(&p.seed, "seed", rand.Uint64(), "of the instants and of the alerts")
	flag.IntVar(&p.perMinute, "budget", 1200, "requests a minute")
	flag.BoolVar(&p.recover, "recover", true, "end problems with recoveries too: a minute more")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := p.play(ctx, os.Stdout)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "failover:", err)
		os.Exit(1)
	}
}
