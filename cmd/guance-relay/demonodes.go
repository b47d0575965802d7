package main

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"time"

	"github.com/guance-relay/guance-relay/pagerduty/pagerdutytest"
	"github.com/guance-relay/guance-relay/relay"
	"github.com/guance-relay/guance-relay/relay/pgstore/pgtest"
)

// A demoNode is one server of the demonstration, in a process of its own.
type demoNode struct {
	name, url, operator string
	process             *exec.Cmd
}

// demonstrateNodes runs several servers on one PostgreSQL and kills the one that sends, between a
// fault and its recovery.
func demonstrateNodes(ctx context.Context, c *config, stdout io.Writer) (err error) {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Minute)
	defer cancel()
	dsn := os.Getenv("RELAY_STORE") // the one setting that this demonstration reads
	if dsn == "" {
		fmt.Fprintln(stdout, "Starting a PostgreSQL in a temporary directory.")
		engine, err := pgtest.Start(nil)
		if err != nil {
			return fmt.Errorf("%w; or name a database in RELAY_STORE", err)
		}
		defer func() { err = errors.Join(err, engine.Close()) }()
		dsn = engine.DSN()
	}
	fake := pagerdutytest.NewServer()
	defer fake.Close()
	fake.OnStep(func(step pagerdutytest.Step) { narrate(stdout, step) })
	direct := &http.Transport{}
	defer direct.CloseIdleConnections()
	client := &http.Client{Transport: direct, Timeout: 10 * time.Second}

	token := rand.Text()
	nodes := make([]*demoNode, c.nodes)
	for i := range nodes {
		if nodes[i], err = startNode(ctx, i+1, dsn, fake.URL, token); err != nil {
			return err
		}
		defer nodes[i].kill()
	}
	owner, err := findOwner(ctx, client, nodes, stdout)
	if err != nil {
		return err
	}
	other := nodes[0]
	if other == owner {
		other = nodes[1]
	}
	fmt.Fprintf(stdout, "Guance reports the fault to %s, which stands by.\n", other.name)
	if err := postDemo(ctx, client, other.url, sample); err != nil {
		return err
	}
	if err := fake.WaitOpen(ctx, sampleProblem); err != nil {
		return fmt.Errorf("the fake PagerDuty does not show it: %w", err)
	}
	killed := time.Now()
	owner.kill()
	fmt.Fprintf(stdout, "%s is killed, as by kill -9. Guance reports the recovery to %s.\n",
		owner.name, other.name)
	if err := postDemo(ctx, client, other.url, recovery()); err != nil {
		return err
	}
	if err := fake.WaitResolved(ctx, sampleProblem); err != nil {
		return fmt.Errorf("the fake PagerDuty does not show it: %w", err)
	}
	fmt.Fprintf(stdout, "Another node has resolved the incident, %v after the kill.\n",
		time.Since(killed).Round(10*time.Millisecond))
	return nil
}

// startNode starts a server and waits until it is ready.
func startNode(ctx context.Context, n int, dsn, pagerDuty, token string) (*demoNode, error) {
	program, err := os.Executable()
	if err != nil {
		return nil, err
	}
	listen, err := pgtest.FreeAddress()
	if err != nil {
		return nil, err
	}
	operator, err := pgtest.FreeAddress()
	if err != nil {
		return nil, err
	}
	d := &demoNode{
		name: fmt.Sprint("node ", n), operator: "http://" + operator,
		url: fmt.Sprintf("http://%s/guance?token=%s", listen, token),
	}
	d.process = exec.CommandContext(ctx, program)
	d.process.Env = append(os.Environ(), "RELAY_STORE="+dsn, "RELAY_NODE="+d.name,
		"RELAY_LISTEN="+listen, "RELAY_OPERATOR="+operator, "RELAY_TOKENS="+token,
		"PAGERDUTY_URL="+pagerDuty, "PAGERDUTY_ROUTING_KEY="+demoKey, "LOG_LEVEL=error",
		"HTTP_PROXY=", "HTTPS_PROXY=", "RELAY_TOKENS_FILE=", "PAGERDUTY_ROUTING_KEY_FILE=",
		"RELAY_ALLOW=", "RELAY_CONFIG=")
	d.process.Stderr = os.Stderr
	if err := d.process.Start(); err != nil {
		return nil, err
	}
	ready := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: time.Second}
	for {
		resp, err := ready.Get("http://" + listen + "/readyz")
		if err == nil {
			_ = resp.Body.Close()
			if resp.StatusCode == http.StatusOK {
				return d, nil
			}
		}
		select {
		case <-ctx.Done():
			return nil, fmt.Errorf("%s is not ready: %w", d.name, errors.Join(ctx.Err(), err))
		case <-time.After(50 * time.Millisecond):
		}
	}
}

func (d *demoNode) kill() {
	_ = d.process.Process.Kill() // it may have ended
	_ = d.process.Wait()
}

// findOwner returns the node that owns the lane, and prints the state of all.
func findOwner(
	ctx context.Context, client *http.Client, nodes []*demoNode, stdout io.Writer,
) (*demoNode, error) {
	for {
		var owner *demoNode
		states := make([]relay.LaneState, len(nodes))
		for i, n := range nodes {
			stats, err := n.stats(ctx, client)
			if err != nil {
				return nil, err
			}
			if states[i] = stats.Lanes[0].State; states[i] != relay.Standby &&
				states[i] != relay.Stopped && states[i] != relay.Reading {
				owner = n
			}
		}
		if owner != nil {
			for i, n := range nodes {
				fmt.Fprintf(stdout, "%s: %s\n", n.name, states[i])
			}
			return owner, nil
		}
		select {
		case <-ctx.Done():
			return nil, errors.New("no node owns the lane")
		case <-time.After(100 * time.Millisecond):
		}
	}
}

func (d *demoNode) stats(ctx context.Context, client *http.Client) (s relay.Stats, err error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, d.operator+"/console/api/lanes", nil)
	if err != nil {
		return s, err
	}
	resp, err := client.Do(req)
	if err != nil {
		return s, err
	}
	defer resp.Body.Close()
	if err := json.NewDecoder(resp.Body).Decode(&s); err != nil || len(s.Lanes) == 0 {
		return s, fmt.Errorf("%s has no figures: %w", d.name, err)
	}
	return s, nil
}
