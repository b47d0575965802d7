package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/guance-relay/guance-relay/pagerduty/pagerdutytest"
)

// No request makes the server connect to anything but the configured PagerDuty, not even a redirect
// of that.
func TestOutboundTargetsAreConfiguredAlone(t *testing.T) {
	t.Parallel() // it mostly waits
	trap, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer trap.Close()
	caught := make(chan string, 1000)
	go func() {
		for {
			conn, err := trap.Accept()
			if err != nil {
				return // closed with the test
			}
			line := make([]byte, 200)
			_ = conn.SetReadDeadline(time.Now().Add(time.Second)) // an open connection can
			n, _ := conn.Read(line)                               // what came is told, if anything
			caught <- string(line[:n])
			_ = conn.Close() // as above
		}
	}()
	elsewhere := "http://" + trap.Addr().String() + "/latest/meta-data"

	pd := pagerdutytest.NewServer()
	defer pd.Close()
	p := start(t, "RELAY_DATA="+t.TempDir(), "PAGERDUTY_URL="+pd.URL)
	send := func(target string, header map[string]string, body []byte, want int) {
		t.Helper()
		var b strings.Builder
		fmt.Fprintf(&b, "POST %s HTTP/1.1\r\nX-Relay-Token: %s\r\nContent-Length: %d\r\n", target, token,
			len(body))
		for name, value := range header {
			fmt.Fprintf(&b, "%s: %s\r\n", name, value)
		}
		if got := talk(t, p.dial(t), b.String()+"\r\n"+string(body)); len(got) != 1 || got[0] != want {
			t.Errorf("POST %s: %v, want %d", target, got, want)
		}
	}

	// An event whose fields are all URLs.
	var event map[string]any
	if err := json.Unmarshal(sample, &event); err != nil {
		t.Fatal(err)
	}
	for name, value := range event {
		if _, ok := value.(string); ok && name != "df_status" && name != "df_sub_status" {
			event[name] = elsewhere
		}
	}
	for _, name := range []string{"client_url", "url", "webhook", "callback", "image", "proxy",
		"routing_key", "PAGERDUTY_URL"} {
		event[name] = elsewhere
	}
	addresses, err := json.Marshal(event)
	if err != nil {
		t.Fatal(err)
	}
	host := trap.Addr().String()
	send("/guance", map[string]string{"Host": host, "X-Forwarded-Host": host, "X-Forwarded-For": host,
		"Forwarded": "host=" + host, "Referer": elsewhere, "Origin": elsewhere, "Proxy": elsewhere,
		"X-Original-URL": elsewhere, "traceparent": elsewhere}, addresses, http.StatusAccepted)
	send(elsewhere, map[string]string{"Host": host}, addresses, http.StatusNotFound)
	if got := talk(t, p.dial(t),
		"CONNECT "+host+" HTTP/1.1\r\nHost: "+host+"\r\n\r\n"); len(got) != 1 ||
		got[0] != http.StatusNotFound {
		t.Errorf("CONNECT: %v, want 404", got)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if err := pd.WaitOpen(ctx, elsewhere); err != nil {
		t.Error(err)
	}

	// PagerDuty, or a proxy in front of it, redirects.
	pd.Script(pagerdutytest.Fault{Status: http.StatusTemporaryRedirect, Location: elsewhere})
	p.post(t, string(sample))
	other := bytes.ReplaceAll(sample, []byte(sampleProblem), []byte("another-problem"))
	p.post(t, string(bytes.ReplaceAll(other, []byte("event-f20a38aa"), []byte("event-00000000"))))
	if err := pd.WaitOpen(ctx, "another-problem"); err != nil {
		t.Error(err)
	}
	if len(caught) > 0 {
		t.Errorf("the server was led astray: %q", <-caught)
	}
}
