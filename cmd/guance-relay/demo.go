package main

import (
	"bytes"
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

// demonstrate runs the server with a built-in fake PagerDuty, posts the sample fault and its
// recovery, prints what happens, and returns when the incident is resolved.
func demonstrate(ctx context.Context, c *config, stdout io.Writer,
	stderr *logWriter) (err error) {
	if c.logLevel == "info" {
		c.logLevel = "warn" // stdout tells the same
	}
	c.listen = "127.0.0.1:0"
	log, err := c.logger(stderr)
	if err != nil {
		return configError{err}
	}
	if c.data, err = os.MkdirTemp("", "guance-relay-demo-"); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(c.data)) }()

	fake := pagerdutytest.NewServer()
	defer fake.Close()
	direct := &http.Transport{} // ignores the proxies of the environment
	defer direct.CloseIdleConnections()
	key, err := pagerduty.ParseRoutingKey(demoKey)
	if err != nil {
		return err
	}
	t, err := c.telemetry(ctx, stderr, log)
	if err != nil {
		return err
	}
	client, err := pagerduty.NewClient(key, &pagerduty.Options{
		BaseURL: fake.URL, Transport: direct, Logger: log, MeterProvider: t.provider,
	})
	if err != nil {
		return err
	}
	defer t.close(log)
	token := rand.Text()
	c.access = access{tokens: token}
	s, err := newServer(c, c.plan(client, &secretFiles{}), t, log)
	if err != nil {
		return configError{err}
	}
	url := fmt.Sprintf("http://%s/guance?token=%s", s.listener.Addr(), token)
	fmt.Fprintf(stdout, `A demonstration: a fake PagerDuty on %s, a temporary store, a random token.
Webhook URL for Guance:  %s
To send the sample event:
  curl --data-binary @cmd/guance-relay/sample.json -H 'Content-Type: application/json' '%s'
`, fake.URL, url, url)

	ctx, stop := context.WithCancel(ctx)
	defer stop()
	stopped := make(chan error, 1)
	go func() { stopped <- s.run(ctx) }()
	fake.OnStep(func(step pagerdutytest.Step) { narrate(stdout, step) })
	err = play(ctx, fake, url, direct, stdout)
	stop()
	if err = errors.Join(err, <-stopped); err == nil {
		fmt.Fprintln(stdout, "The incident was opened and resolved.")
	}
	return err
}

// play posts the sample and its recovery.
func play(ctx context.Context, fake *pagerdutytest.Server, url string,
	direct *http.Transport, stdout io.Writer) error {
	client := &http.Client{Transport: direct}
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	for _, step := range []struct {
		body []byte
		text string
		wait func(context.Context, string) error
	}{
		{sample, "Guance reports the fault.", fake.WaitOpen},
		{recovery(), "Guance reports the recovery.", fake.WaitResolved},
	} {
		fmt.Fprintln(stdout, step.text)
		if err := postDemo(ctx, client, url, step.body); err != nil {
			return err
		}
		if err := step.wait(ctx, sampleProblem); err != nil {
			return fmt.Errorf("the fake PagerDuty does not show it: %w", err)
		}
	}
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
