package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/guance-relay/guance-relay/guance"
)

// A system brings alerts to PagerDuty.
type system struct {
	name   string
	memory bool // its directory is in memory, where a sync costs nothing
	// start starts it in a directory of its own, to send to a target.
	start func(b testing.TB, dir, target string) (*process, error)
	// bodies returns a fault and its recovery as the system takes them, with marks, and the path
	// that takes them.
	bodies func() (fault, recovery []byte, path string)
}

var systems = []system{relayServer, relayInMemory, alertmanager, benthos}

// webhooks are the bodies for a system that takes what Guance sends.
func webhooks() (fault, recovery []byte, path string) {
	fault, recovery = problem(guance.LevelCritical)
	return fault, recovery, "/guance"
}

// peers are whole systems, from the alert that comes in to PagerDuty's 202.
func peers(s size) (all []contest) {
	for _, conns := range []int{16, 64} {
		c := contest{
			name: fmt.Sprintf("Peers/conns=%d", conns),
			about: fmt.Sprintf("%d problems begin, each posted by itself over %d kept "+
				"connections; once PagerDuty has a trigger of each, all of them end. Time counts "+
				"from the first post until PagerDuty "+
				"has taken the last. *guance-relay* is `cmd/guance-relay` with a budget that "+
				"does not bind, and *guance-relay-tmpfs* the same where a sync costs "+
				"nothing. *alertmanager* is Debian's, fed by its API v2: "+
				"each problem is a group, notified at once, and looked at every second, for "+
				"which its recoveries wait. *benthos* is http_server → mapping → "+
				"http_client, which answers a webhook once PagerDuty "+
				"has taken it. These two keep no alert on a disk and have no budget; benthos has "+
				"no order either. PagerDuty is a counter in a process of its own.",
				s.problems/conns*conns, conns),
			base: "guance-relay",
			units: []string{"events/s", "triggers/s", "resolves/s", "first-page-ns", "cpu-ns/event",
				"hwm-B", "missing", "target-cpu-ns/event"},
		}
		for _, sys := range systems {
			c.sides = append(c.sides, side{sys.name,
				func(b *testing.B) error {
					return sys.compete(b, "plain", conns,
						s.problems/conns)
				}})
		}
		for _, peer := range []string{"alertmanager", "benthos"} {
			c.goals = append(c.goals,
				goal{side: "guance-relay", unit: "events/s", of: peer, min: 1,
					text: fmt.Sprintf("events per second end to end over %d connections, of %s",
						conns, peer)},
				goal{side: "guance-relay", unit: "cpu-ns/event", of: peer, max: 1,
					text: fmt.Sprintf("processor time per event over %d connections, of %s", conns,
						peer)},
			)
		}
		all = append(all, c)
	}
	return all
}

// compete has a system tell the life of n problems of each connection.
func (sys *system) compete(b *testing.B, kind string, conns, n int) error {
	f, err := sys.field(b, kind, conns)
	if err != nil {
		return err
	}
	if err := f.campaign(1); err != nil { // connections are there, in and out
		return err
	}
	var total lap
	cpu, targetCPU := f.system.cpu(), f.target.cpu()
	hwm, campaigns := int64(0), 0
	for b.Loop() {
		if err := f.campaign(n); err != nil {
			return err
		}
		total.add(f.last)
		if campaigns++; campaigns == 1 { // or the fastest is charged for having done the most
			hwm = f.system.memory("VmHWM")
		}
	}
	problems := float64(conns * n * campaigns)
	b.ReportMetric(2*problems/(total.triggers+total.resolves).Seconds(), "events/s")
	b.ReportMetric(problems/total.triggers.Seconds(), "triggers/s")
	b.ReportMetric(problems/total.resolves.Seconds(), "resolves/s")
	b.ReportMetric(float64(total.firstPage)/float64(campaigns), "first-page-ns")
	b.ReportMetric(float64(f.system.cpu()-cpu)/(2*problems), "cpu-ns/event")
	b.ReportMetric(float64(f.target.cpu()-targetCPU)/(2*problems), "target-cpu-ns/event")
	b.ReportMetric(float64(hwm), "hwm-B")
	b.ReportMetric(float64(total.missing), "missing")
	return nil
}

// A field is a system between a load and a target.
type field struct {
	system            *process
	target            *target
	faults, recovered *load
	last              lap
	seen              seen
}

// lap is how long a campaign took.
type lap struct {
	triggers, resolves time.Duration // from the first post until PagerDuty had the last
	firstPage          time.Duration // from the first post until PagerDuty had the first
	missing            int           // events that PagerDuty never had
}

func (l *lap) add(other lap) {
	l.triggers += other.triggers
	l.resolves += other.resolves
	l.firstPage += other.firstPage
	l.missing += other.missing
}

// everyProblem is more problems than there are events: each fault is of another one.
const everyProblem = 1_000_000_000_000

func (sys *system) field(b testing.TB, kind string, conns int) (*field, error) {
	dir, err := storeDir(b, sys.memory)
	if err != nil {
		return nil, err
	}
	f := &field{}
	if f.target, err = newTarget(b, kind); err != nil {
		return nil, err
	}
	if f.system, err = sys.start(b, dir, f.target.url); err != nil {
		return nil, err
	}
	fault, recovery, path := sys.bodies()
	if f.faults, err = newLoad(fault, f.system.url+path, conns, everyProblem, false); err != nil {
		return nil, err
	}
	b.Cleanup(f.faults.close)
	if f.recovered, err = newLoad(recovery, f.system.url+path, conns, everyProblem,
		false); err != nil {
		return nil, err
	}
	b.Cleanup(f.recovered.close)
	return f, nil
}

// patience is how long an event may take until it counts as missing.
const patience = 30 * time.Second

// campaign has n problems of each connection begin, and then end.
func (f *field) campaign(n int) (err error) {
	if err := f.target.begin(); err != nil {
		return err
	}
	f.last = lap{}
	problems := n * len(f.faults.posters)
	start := time.Now()
	if err := f.faults.burst(n); err != nil {
		return err
	}
	if f.seen, err = f.target.wait(problems, 0, patience); err != nil {
		return err
	}
	f.last.triggers, f.last.firstPage = time.Since(start), f.seen.First.Sub(start)
	start = time.Now()
	if err := f.recovered.burst(n); err != nil {
		return err
	}
	if f.seen, err = f.target.wait(problems, problems, patience); err != nil {
		return err
	}
	f.last.resolves = time.Since(start)
	f.last.missing = 2*problems - f.seen.Triggered - f.seen.Resolved
	return nil
}

// serveOn starts a program that is to serve on an address, with its log in a file.
func serveOn(b testing.TB, cmd *exec.Cmd, dir, address string) (*process, error) {
	log, err := os.Create(filepath.Join(dir, "log"))
	if err != nil {
		return nil, err
	}
	defer log.Close() // the program has its own
	cmd.Dir, cmd.Stderr = dir, log
	p, err := start(b, cmd)
	if err != nil {
		return nil, err
	}
	if err := listening(address); err != nil {
		text, _ := os.ReadFile(log.Name())
		return nil, fmt.Errorf("%s: %w: %s", filepath.Base(cmd.Path), err, text)
	}
	p.url = "http://" + address
	return p, nil
}

// routingKey is the one that everybody sends under.
const routingKey = "e93facc04764012d7bfb002500d5d1a6"
