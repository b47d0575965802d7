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

// sample is a real event, from the Guance documentation's PagerDuty page.
//
//go:embed sample.json
var sample []byte

const (
	sampleProblem = "13713ac25e993a37d2ca5899e2a7bba6" // the sample's df_monitor_checker_event_ref
	demoKey       = "d3m00000000000000000000000000000"
)

// demonstrate runs the relay against a built-in fake PagerDuty, posts the sample's fault and recovery, says in plain words what happens,
// and returns once the incident was opened and resolved.
func demonstrate(ctx context.Context, c *config, stdout io.Writer, stderr *logWriter) (err error) {
	if c.logLevel == "info" {
		c.logLevel = "warn" // the story on stdout is the log
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
	direct := &http.Transport{} // whatever proxy the environment names
	defer direct.CloseIdleConnections()
	key, err := pagerduty.ParseRoutingKey(demoKey)
	if err != nil {
		return err
	}
	m, err := c.metrics(stderr)
	if err != nil {
		return err
	}
	client, err := pagerduty.NewClient(key, &pagerduty.Options{BaseURL: fake.URL, Transport: direct, Logger: log, MeterProvider: m.meters()})
	if err != nil {
		return err
	}
	token := rand.Text()
	c.access = access{tokens: token}
	s, err := newServer(c, client, m, &secrets{}, log)
	if err != nil {
		return configError{err}
	}
	url := fmt.Sprintf("http://%s/guance?token=%s", s.listener.Addr(), token)
	fmt.Fprintf(stdout, "A demonstration: a fake PagerDuty on %s, a temporary store, a token made for this run.\n", fake.URL)
	fmt.Fprintf(stdout, "Webhook URL for Guance:  %s\n", url)
	fmt.Fprintf(stdout, "To send the sample event:\n  curl --data-binary @cmd/guance-relay/sample.json -H 'Content-Type: application/json' '%s'\n", url)

	ctx, stop := context.WithCancel(ctx)
	defer stop()
	stopped := make(chan error, 1)
	go func() { stopped <- s.run(ctx) }()
	fake.OnStep(narrator(stdout))
	err = play(ctx, fake, url, direct, stdout)
	stop()
	if err = errors.Join(err, <-stopped); err == nil {
		fmt.Fprintln(stdout, "The incident was opened and resolved.")
	}
	return err
}

// play posts the sample and its recovery.
func play(ctx context.Context, fake *pagerdutytest.Server, url string, direct *http.Transport, stdout io.Writer) error {
	client := &http.Client{Transport: direct}
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	for _, step := range []struct {
		body []byte
		says string
		done func(context.Context, string) error
	}{
		{sample, "Guance reports the fault.", fake.WaitOpen},
		{recovery(), "Guance reports the recovery.", fake.WaitResolved},
	} {
		fmt.Fprintln(stdout, step.says)
		req, err := http.NewRequestWithContext(ctx, http.MethodPost, url, bytes.NewReader(step.body))
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
			return fmt.Errorf("the relay answered %s: %s", resp.Status, answer)
		}
		if err := step.done(ctx, sampleProblem); err != nil {
			return fmt.Errorf("the fake PagerDuty does not show it: %w", err)
		}
	}
	return nil
}

// recovery is the sample as Guance would send it when the fault is over.
func recovery() []byte {
	b := bytes.ReplaceAll(sample, []byte(`status": "critical"`), []byte(`status": "ok"`))
	return bytes.ReplaceAll(b, []byte("event-f20a38aa58b54c6c8d4c9a84e655db1a"), []byte("event-f20a38aa58b54c6c8d4c9a84e655db1b"))
}
