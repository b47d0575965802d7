package main

import (
	"bufio"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"
	"syscall"
	"testing"
	"time"
)

// The listener stops before the relay and the store: a webhook that is arriving when the stop
// begins is still answered with 202 and kept. New connections are refused, and the next process
// delivers it.
func TestStopOrder(t *testing.T) {
	pd := newTarget(t)
	pd.set(true) // nothing is delivered before the restart
	env := []string{"RELAY_DATA=" + t.TempDir(), "PAGERDUTY_URL=" + pd.URL}
	p := start(t, env...)
	conn := p.dial(t)
	body := string(sample)
	if _, err := fmt.Fprintf(conn, "%sContent-Length: %d\r\n\r\n%s", webhookHead, len(body),
		body[:10]); err != nil {
		t.Fatal(err)
	}
	// accepted after the first one: its answer shows that the server has the first half
	p.post(t, `{"df_event_id":"event-1","df_status":"info","df_title":"nothing to send"}`)
	if err := p.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(time.Millisecond) {
		other, err := net.Dial("tcp", p.address())
		if errors.Is(err, syscall.ECONNREFUSED) {
			break
		}
		if err == nil {
			_ = other.Close()
		}
		if time.Now().After(deadline) {
			t.Fatalf("a server that stops takes connections: %v\n%s", err, p.output())
		}
	}
	if _, err := conn.Write([]byte(body[10:])); err != nil {
		t.Fatal(err)
	}
	resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatalf("the webhook that was on its way is not answered: %v\n%s", err, p.output())
	}
	if resp.StatusCode != http.StatusAccepted {
		t.Fatalf("the webhook that was on its way is answered with %s, want 202", resp.Status)
	}
	if err := p.Wait(); err != nil || strings.Contains(p.output(), "connections were cut") {
		t.Errorf("the stop ends with %v, want exit 0 and nothing cut\n%s", err, p.output())
	}
	pd.set(false)
	start(t, env...)
	if ev := pd.next(t); ev["event_action"] != "trigger" ||
		ev["dedup_key"] != "13713ac25e993a37d2ca5899e2a7bba6" {
		t.Errorf("got %v of %v, want the trigger of the webhook that was on its way", ev["event_action"],
			ev["dedup_key"])
	}
}
