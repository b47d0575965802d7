package main

import (
	"bytes"
	"cmp"
	"context"
	"crypto/rand"
	_ "embed"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"time"

	"github.com/guance-relay/guance-relay/pagerduty"
	"github.com/guance-relay/guance-relay/pagerduty/pagerdutytest"
)

// sample is a real event, from the PagerDuty page of the Guance documentation.
//
//go:embed sample.json
var sample []byte

const (
	sampleProblem = "13713ac25e993a37d2ca5899e2a7bba6" // df_monitor_checker_event_ref of the sample
	demoKey       = "d3m00000000000000000000000000000"
)

// A demo is a server with a built-in fake PagerDuty, a temporary store and a random token.
type demo struct {
	server  *server
	fake    *pagerdutytest.Server
	url     string // for webhooks, with the token
	console string
	client  *http.Client
	stdout  io.Writer
}

// demonstrate runs a demo, posts the sample fault and its recovery, or a storm, and prints what
// happens. It returns at the end of that; with -keep, when ctx ends.
func demonstrate(ctx context.Context, c *config, stdout io.Writer,
	stderr *logWriter) (err error) {
	if c.logLevel == "info" {
		c.logLevel = "warn" // stdout tells the same
	}
	if c.data, err = os.MkdirTemp("", "guance-relay-demo-"); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(c.data)) }()
	fake := pagerdutytest.NewServer()
	defer fake.Close()
	fake.SetRateLimit(c.perMinute)
	direct := &http.Transport{} // ignores the proxies of the environment
	defer direct.CloseIdleConnections()
	d := &demo{fake: fake, client: &http.Client{Transport: direct}, stdout: stdout}
	if err := d.open(c, direct, stderr); err != nil {
		return configError{err}
	}

	running, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer stop()
	stopped := make(chan error, 1)
	go func() { stopped <- d.server.run(running) }()
	playing, cancel := context.WithCancel(ctx)
	defer cancel()
	go func() {
		select {
		case err := <-stopped: // the server has failed
			stopped <- err
			cancel()
		case <-playing.Done():
		}
	}()
	if c.storm > 0 {
		err = d.playStorm(playing, c.storm, c.perMinute)
	} else {
		err = d.play(playing)
	}
	if err == nil && c.keep {
		fmt.Fprintf(stdout, "The console stays at %s until Ctrl-C.\n", d.console)
		<-playing.Done()
	}
	if c.keep && ctx.Err() != nil {
		err = nil // Ctrl-C is how this ends
	}
	stop()
	return errors.Join(err, <-stopped)
}

// open opens the server and prints its addresses.
func (d *demo) open(c *config, direct *http.Transport, stderr *logWriter) error {
	c.listen, c.operator = "127.0.0.1:0", cmp.Or(c.operator, "127.0.0.1:0")
	log, err := c.logger(stderr)
	if err != nil {
		return err
	}
	t, err := c.telemetry(context.Background(), stderr, log)
	if err != nil {
		return err
	}
	key, err := pagerduty.ParseRoutingKey(demoKey)
	if err != nil {
		return err
	}
	client, err := pagerduty.NewClient(key, &pagerduty.Options{
		BaseURL: d.fake.URL, Transport: direct, Logger: log, MeterProvider: t.provider,
	})
	if err != nil {
		return err
	}
	token := rand.Text()
	c.access = access{tokens: token}
	if d.server, err = newServer(c, c.plan(client, &secretFiles{}), t, log); err != nil {
		return err
	}
	d.url = fmt.Sprintf("http://%s/guance?token=%s", d.server.listener.Addr(), token)
	d.console = fmt.Sprintf("http://%s/console/", d.server.operator.listener.Addr())
	fmt.Fprintf(d.stdout, `A demonstration: a fake PagerDuty on %s, a temporary store, a random token.
Console, while this runs: %s
Webhook URL for Guance:   %s
To send the sample event:
  curl --data-binary @cmd/guance-relay/sample.json -H 'Content-Type: application/json' '%s'
`, d.fake.URL, d.console, d.url, d.url)
	return nil
}

// play posts the sample and its recovery.
func (d *demo) play(ctx context.Context) error {
	d.fake.OnStep(func(step pagerdutytest.Step) { narrate(d.stdout, step) })
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	for _, step := range []struct {
		body []byte
		text string
		wait func(context.Context, string) error
	}{
		{sample, "Guance reports the fault.", d.fake.WaitOpen},
		{recovery(), "Guance reports the recovery.", d.fake.WaitResolved},
	} {
		fmt.Fprintln(d.stdout, step.text)
		if err := postDemo(ctx, d.client, d.url, step.body); err != nil {
			return err
		}
		if err := step.wait(ctx, sampleProblem); err != nil {
			return fmt.Errorf("the fake PagerDuty does not show it: %w", err)
		}
	}
	fmt.Fprintln(d.stdout, "The incident was opened and resolved.")
	return nil
}

// postDemo posts a webhook, which the server must accept.
func postDemo(ctx context.Context, client *http.Client, url string, body []byte) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, url, bytes.NewReader(body))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/json")
	resp, err := client.Do(req)
	if err != nil {
		return err
	}
	answer, err := io.ReadAll(resp.Body)
	if err = errors.Join(err, resp.Body.Close()); err != nil {
		return err
	}
	if resp.StatusCode != http.StatusAccepted {
		return fmt.Errorf("the server answered %s: %s", resp.Status, answer)
	}
	return nil
}

// recovery returns the sample as Guance would send it when the fault is over.
func recovery() []byte {
	b := bytes.ReplaceAll(sample, []byte(`status": "critical"`), []byte(`status": "ok"`))
	const id = "event-f20a38aa58b54c6c8d4c9a84e655db1"
	return bytes.ReplaceAll(b, []byte(id+"a"), []byte(id+"b"))
}

// narrate prints what happens to an incident.
func narrate(w io.Writer, step pagerdutytest.Step) {
	what := "acknowledged"
	switch {
	case step.Repeated:
		what = "updated"
	case step.Action == "trigger":
		what = "opened"
	case step.Action == "resolve":
		open := step.Incident.Resolved.Sub(step.Incident.Opened)
		what = "resolved after " + open.Round(100*time.Millisecond).String()
	}
	fmt.Fprintf(w, "incident %s: %s, %s\n", what, step.Incident.Severity, step.Incident.Summary)
}
