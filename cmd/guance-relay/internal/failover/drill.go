//go:build unix

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"

	"github.com/guance-relay/guance-relay/relay/pgstore"
	"github.com/guance-relay/guance-relay/relay/relaytest"
	"github.com/guance-relay/guance-relay/relay/store"
)

// A disruption is something that happens to the node that sends, or to the engine.
type disruption int

const (
	kill disruption = iota
	pause
	term
	crash
	hang
	disruptions
)

var names = [disruptions]string{"SIGKILL of the owner", "SIGSTOP of the owner",
	"SIGTERM of the owner", "primary crashes, promotion", "primary hangs, promotion"}

const (
	lane  = "pagerduty"
	nodes = 3
	// tooLong is when a round fails.
	tooLong = 90 * time.Second
)

// A plan is what a drill does.
type plan struct {
	rounds    [disruptions]int
	seed      uint64
	perMinute int
	recover   bool // some problems end recovered
}

// A settlement is one outcome of an entry.
type settlement struct {
	seq     uint64
	id      string
	problem string
	outcome store.Outcome
	reason  string
	at      time.Time
}

// A drill is a plan that is played.
type drill struct {
	*plan
	rng    *rand.Rand
	out    io.Writer
	target *target
	engine *engine
	nodes  []*node
	load   *load
	db     *pgstore.Store
	// settled are the outcomes, of which a store keeps the last ten thousand.
	settled map[settlement]bool
	// took is how long it takes until another owner sends: from the signal, or from when the standby
	// is promoted.
	took [disruptions][]time.Duration
	// paused is how long nobody sends.
	paused [disruptions][]time.Duration
}

// play plays the plan and prints what came out. It returns an error if a promise was broken.
func (p *plan) play(ctx context.Context, out io.Writer) (err error) {
	dir, err := os.MkdirTemp("", "failover-")
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = fmt.Errorf("%w; the logs of the nodes are in %s", err, dir)
		} else {
			err = os.RemoveAll(dir)
		}
	}()
	fmt.Fprintf(out, "seed %d\n", p.seed)
	d := &drill{plan: p, rng: rand.New(rand.NewPCG(p.seed, 0)), out: out, target: newTarget(),
		settled: make(map[settlement]bool)}
	defer d.target.close()
	binary := filepath.Join(dir, "guance-relay")
	build := exec.CommandContext(ctx, "go", "build", "-o", binary,
		"github.com/guance-relay/guance-relay/cmd/guance-relay")
	if text, err := build.CombinedOutput(); err != nil {
		return fmt.Errorf("building the server: %w: %s", err, text)
	}
	if d.engine, err = startEngine(); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, d.engine.close()) }()
	quiet := slog.New(slog.DiscardHandler)
	if d.db, err = pgstore.Open(ctx, d.engine.dsn, &pgstore.Options{Logger: quiet}); err != nil {
		return err
	}
	defer d.db.Close()
	for i := range nodes {
		url, err := d.target.serve(i)
		if err != nil {
			return err
		}
		n, err := newNode(fmt.Sprint("node-", i+1), binary, dir, d.engine.dsn, url, p.perMinute)
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, n.kill()) }()
		if err := n.start(ctx); err != nil {
			return err
		}
		go n.watch(ctx)
		d.nodes = append(d.nodes, n)
	}
	d.load = newLoad(d.nodes, rand.New(rand.NewPCG(p.seed, 1)))
	d.load.start(ctx)
	begin, collected := time.Now(), time.Now()
	for _, what := range d.schedule() {
		limited, cancel := context.WithTimeout(ctx, tooLong)
		err := d.round(limited, what)
		cancel()
		if err != nil {
			return fmt.Errorf("%s: %w", names[what], err)
		}
		if time.Since(collected) > time.Minute {
			if err := d.collect(ctx); err != nil {
				return err
			}
			collected = time.Now()
		}
	}
	d.load.stop()
	fmt.Fprintf(out, "the rounds took %v\n", time.Since(begin).Round(time.Second))
	return d.finish(ctx)
}

// schedule returns the rounds in a random order.
func (d *drill) schedule() (all []disruption) {
	for what, n := range d.rounds {
		for range n {
			all = append(all, disruption(what))
		}
	}
	d.rng.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
	return all
}

// round waits for a node that sends, and then for a random instant; disrupts, waits until another
// node sends, and mends what was broken.
func (d *drill) round(ctx context.Context, what disruption) error {
	before := d.target.count()
	const steady = 10
	for {
		if _, row := d.target.last(before); row >= steady {
			break
		}
		if !sleep(ctx, 10*time.Millisecond) {
			return errors.New("no node sends")
		}
	}
	if !sleep(ctx, time.Duration(d.rng.Int64N(int64(1500*time.Millisecond)))) {
		return ctx.Err()
	}
	owner, _ := d.target.last(before)
	node := d.nodes[owner]
	before = d.target.count()
	begin := time.Now()
	var err error
	switch what {
	case kill:
		err = node.kill()
	case pause:
		err = node.process.Process.Signal(syscall.SIGSTOP)
	case term:
		err = node.process.Process.Signal(syscall.SIGTERM)
	case crash, hang:
		err = d.engine.promote(what == hang)
	}
	if err != nil {
		return err
	}
	acted := time.Now()
	// A promotion ends each lease, and the same node may be the next owner. What it had begun before
	// arrives before the promotion has ended.
	next, err := d.target.first(ctx, before, func(s send) bool {
		if what == crash || what == hang {
			return s.at.After(acted)
		}
		return s.node != owner
	})
	if err != nil {
		return fmt.Errorf("no other node sends within %v", tooLong)
	}
	since, did := begin, ""
	if what == crash || what == hang {
		since, did = acted, fmt.Sprintf(", promoted after %v", acted.Sub(begin).Round(time.Millisecond))
	}
	took := next.at.Sub(since)
	d.took[what] = append(d.took[what], took)
	d.paused[what] = append(d.paused[what], next.paused)
	fmt.Fprintf(d.out, "%s %s: %s%s, then %s sends after %v\n", begin.Format("15:04:05.000"),
		names[what], node.name, did, d.nodes[next.node].name, took.Round(time.Millisecond))
	return d.mend(ctx, what, node)
}

// mend starts again what a disruption has taken away.
func (d *drill) mend(ctx context.Context, what disruption, n *node) error {
	switch what {
	case kill:
		return n.start(ctx)
	case pause:
		if !sleep(ctx, time.Duration(d.rng.Int64N(int64(2*time.Second)))) {
			return ctx.Err()
		}
		return n.process.Process.Signal(syscall.SIGCONT)
	case term:
		if err := n.end(ctx); err != nil {
			return err
		}
		return n.start(ctx)
	default:
		return d.engine.replace(what == hang)
	}
}

// finish ends all problems, waits until nothing is pending, stops the nodes and judges.
func (d *drill) finish(ctx context.Context) error {
	d.target.Heal()
	d.load.finish(ctx, d.recover)
	for begin := time.Now(); ; {
		held, err := d.db.Holdings(ctx)
		if err == nil && held[lane].Pending == 0 {
			break
		}
		if time.Since(begin) > 4*time.Minute {
			return fmt.Errorf("after %v there is still %+v, %w", time.Since(begin), held, err)
		}
		if !sleep(ctx, 100*time.Millisecond) {
			return ctx.Err()
		}
	}
	for _, n := range d.nodes {
		if err := n.process.Process.Signal(syscall.SIGTERM); err != nil {
			return err
		}
		if err := n.end(ctx); err != nil {
			return err
		}
	}
	if err := d.collect(ctx); err != nil {
		return err
	}
	return d.judge()
}

// collect reads the outcomes.
func (d *drill) collect(ctx context.Context) error {
	settled, err := relaytest.Settled(ctx, d.db, lane, d.load.all())
	for _, s := range settled {
		d.settled[settlement{s.Seq, s.ID, s.Problem, s.Outcome, s.Reason, s.At}] = true
	}
	return err
}
