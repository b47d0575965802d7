//go:build unix

package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"sync/atomic"
	"time"

	"github.com/guance-relay/guance-relay/relay/pgstore/pgtest"
)

const (
	token      = "correct-horse-battery"
	routingKey = "0123456789abcdef0123456789abcdef"
)

// A node is a place for a server, which has the same addresses each time it is started.
type node struct {
	name    string
	env     []string
	binary  string
	address string // of the webhooks
	log     string // a file
	up      atomic.Bool
	process *exec.Cmd
	ended   chan error // of process
}

func newNode(name, binary, dir, dsn, pagerDuty string, perMinute int) (*node, error) {
	address, err := pgtest.FreeAddress()
	if err != nil {
		return nil, err
	}
	n := &node{name: name, binary: binary, address: address, log: filepath.Join(dir, name+".log")}
	n.env = []string{"RELAY_STORE=" + dsn, "RELAY_NODE=" + name, "RELAY_LISTEN=" + address,
		"RELAY_TOKENS=" + token, "PAGERDUTY_URL=" + pagerDuty, "PAGERDUTY_ROUTING_KEY=" + routingKey,
		fmt.Sprint("PAGERDUTY_PER_MINUTE=", perMinute), "LOG_LEVEL=info"}
	return n, nil
}

// start starts the server, and waits until it is ready.
func (n *node) start(ctx context.Context) error {
	log, err := os.OpenFile(n.log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer log.Close() // the server has its own
	n.process = exec.Command(n.binary)
	n.process.Env, n.process.Stderr = n.env, log
	if err := n.process.Start(); err != nil {
		return err
	}
	ended := make(chan error, 1)
	n.ended = ended
	go func(p *exec.Cmd) { ended <- p.Wait() }(n.process)
	for !n.check() {
		select {
		case err := <-ended:
			n.process = nil
			return fmt.Errorf("%s ended at its start: %w", n.name, err)
		case <-time.After(20 * time.Millisecond):
		case <-ctx.Done():
			return fmt.Errorf("%s is not ready: %w", n.name, ctx.Err())
		}
	}
	return nil
}

var health = &http.Client{Timeout: 500 * time.Millisecond,
	Transport: &http.Transport{DisableKeepAlives: true}}

// check finds out whether the node is ready, for the balancer.
func (n *node) check() bool {
	resp, err := health.Get("http://" + n.address + "/readyz")
	if err == nil {
		_ = resp.Body.Close()
	}
	ready := err == nil && resp.StatusCode == http.StatusOK
	n.up.Store(ready)
	return ready
}

// watch checks the node until ctx ends.
func (n *node) watch(ctx context.Context) {
	for sleep(ctx, 200*time.Millisecond) {
		n.check()
	}
}

// end waits for the end of the server, which must be a clean one.
func (n *node) end(ctx context.Context) error {
	select {
	case err := <-n.ended:
		n.process = nil
		if err != nil {
			return fmt.Errorf("SIGTERM: %s ended with %w", n.name, err)
		}
		return nil
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(15 * time.Second):
		return fmt.Errorf("SIGTERM: %s has not ended after 15 s", n.name)
	}
}

// kill kills the server.
func (n *node) kill() error {
	if n.process == nil {
		return nil
	}
	if err := n.process.Process.Kill(); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return err
	}
	<-n.ended
	n.process = nil
	return nil
}

// sleep reports whether ctx has not ended before.
func sleep(ctx context.Context, d time.Duration) bool {
	select {
	case <-ctx.Done():
		return false
	case <-time.After(d):
		return true
	}
}
