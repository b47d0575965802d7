package main

import (
	"bytes"
	"errors"
	"fmt"
	stdlog "log"
	"log/slog"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"
)

// Failures of the server are logged as errors; what clients can cause at any rate is not.
func TestErrorLog(t *testing.T) {
	for line, level := range map[string]string{
		"http: panic serving 127.0.0.1:1: boom\ngoroutine 1 [running]:\n":                 "ERROR",
		"http: Accept error: accept tcp: too many open files; retrying in 5ms\n":          "ERROR",
		"http: URL query contains semicolon, which is no longer a supported separator…\n": "DEBUG",
	} {
		var out bytes.Buffer
		log := slog.New(slog.NewTextHandler(&out, &slog.HandlerOptions{Level: slog.LevelDebug}))
		stdlog.New(errorLog{log}, "", 0).Print(line)
		if !strings.Contains(out.String(), "level="+level) || strings.Count(out.String(), "\n") != 1 {
			t.Errorf("%q is logged as %q, want one line of level %s", line, out.String(), level)
		}
	}
}

// A second signal ends the process at once. Everything answered with 202 is on disk.
func TestSecondSignal(t *testing.T) {
	p := start(t, "RELAY_DATA="+t.TempDir(), "PAGERDUTY_URL=http://127.0.0.1:1")
	p.halfPost(t) // for the end of it the server waits
	ended := make(chan error, 1)
	if err := p.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	go func() { ended <- p.Wait() }()
	for deadline := time.After(time.Minute); ; {
		select {
		case err := <-ended:
			exit, ok := errors.AsType[*exec.ExitError](err)
			if !ok || exit.Sys().(syscall.WaitStatus).Signal() != syscall.SIGTERM {
				t.Errorf("the server ends with %v, want the signal", err)
			}
			return
		case <-deadline:
			t.Fatalf("the server does not end: %s", p.output())
		case <-time.After(10 * time.Millisecond): // until it is no longer the first that is being handled
			if strings.Contains(p.output(), "msg=stopping") {
				_ = p.Process.Signal(syscall.SIGTERM) // it may be gone
			}
		}
	}
}

// halfPost sends half a webhook and waits until the server has it.
func (p *process) halfPost(t *testing.T) {
	t.Helper()
	if _, err := fmt.Fprintf(p.dial(t), "%sContent-Length: 100\r\n\r\n{", webhookHead); err != nil {
		t.Fatal(err)
	}
	p.post(t, string(sample)) // accepted later, and answered
}

// After one signal, slow bodies have a few seconds, the log says what was done, and the status is
// 0.
func TestSignalAmongSlowBodies(t *testing.T) {
	t.Parallel() // it mostly waits
	p := start(t, "RELAY_DATA="+t.TempDir(), "PAGERDUTY_URL=http://127.0.0.1:1", "LOG_LEVEL=info")
	p.halfPost(t)
	if err := p.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	if err := p.Wait(); err != nil || time.Since(began) > stopTime {
		t.Errorf("SIGTERM: %v after %v, want exit 0 within %v", err, time.Since(began), stopTime)
	}
	for _, line := range []string{"msg=listening", "msg=stopping",
		"level=WARN msg=\"connections were cut"} {
		if strings.Count(p.output(), line) != 1 {
			t.Errorf("the log has not one line with %s:\n%s", line, p.output())
		}
	}
}
