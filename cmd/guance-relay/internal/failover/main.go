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
	flag.IntVar(&p.rounds[kill], "kills", 20, "how often the owner is killed (SIGKILL)")
	flag.IntVar(&p.rounds[pause], "stops", 20, "how often the owner is stopped and goes on (SIGSTOP)")
	flag.IntVar(&p.rounds[term], "terms", 10, "how often the owner is ended (SIGTERM)")
	flag.IntVar(&p.rounds[crash], "crashes", 5, "how often the primary crashes and its standby is promoted")
	flag.IntVar(&p.rounds[freeze], "freezes", 5, "how often the primary hangs and its standby is promoted")
	flag.Uint64Var(&p.seed, "seed", rand.Uint64(), "of the instants and of the alerts")
	flag.IntVar(&p.perMinute, "budget", 1200, "requests a minute")
	flag.BoolVar(&p.recover, "recover", true, "end problems with recoveries too; it takes a minute more")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := p.play(ctx, os.Stdout)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "failover:", err)
		os.Exit(1)
	}
}
