package main

import (
	"bufio"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"testing"
	"time"

	"github.com/guance-relay/guance-relay/pagerduty/pagerdutytest"
	"github.com/guance-relay/guance-relay/relay"
)

// The same event from fifty connections at once is one event: one answer says accepted, and
// PagerDuty gets one trigger and has one incident.
func TestIdenticalEvents(t *testing.T) {
	t.Parallel() // it mostly waits
	const senders = 50
	pd := pagerdutytest.NewServer()
	defer pd.Close()
	p := start(t, "RELAY_DATA="+t.TempDir(), "PAGERDUTY_URL="+pd.URL)
	var last [senders]func() map[string]int
	for i := range last {
		conn := p.dial(t)
		if _, err := fmt.Fprintf(conn, "%sContent-Length: %d\r\n\r\n%s", webhookHead, len(sample),
			sample[:len(sample)-1]); err != nil {
			t.Fatal(err)
		}
		last[i] = func() map[string]int { // the last byte, and what became of the event
			_ = conn.SetDeadline(time.Now().Add(time.Minute)) // an open connection can
			if _, err := conn.Write(sample[len(sample)-1:]); err != nil {
				return map[string]int{err.Error(): 1}
			}
			resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
			if err != nil {
				return map[string]int{err.Error(): 1}
			}
			defer resp.Body.Close()
			body, err := io.ReadAll(resp.Body)
			var answer struct{ Events []relay.Receipt }
			if err != nil || json.Unmarshal(body, &answer) != nil || len(answer.Events) != 1 {
				return map[string]int{fmt.Sprint(resp.Status, string(body), err): 1}
			}
			return map[string]int{cmp.Or(answer.Events[0].Fate, answer.Events[0].Lanes["pagerduty"]): 1}
		}
	}
	came := make(chan map[string]int)
	for _, finish := range last {
		go func() { came <- finish() }()
	}
	told := make(map[string]int)
	for range last {
		for what, n := range <-came {
			told[what] += n
		}
	}
	if told["accepted"] != 1 || told["duplicate"] != senders-1 {
		t.Errorf("the senders were told %v, want accepted once and duplicate %d times", told, senders-1)
	}

	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if err := pd.WaitOpen(ctx, sampleProblem); err != nil {
		t.Fatal(err)
	}
	p.post(t, string(recovery())) // in a problem's order: what is sent before it is sent
	if err := pd.WaitResolved(ctx, sampleProblem); err != nil {
		t.Fatal(err)
	}
	var actions []string
	for _, req := range pd.Requests() {
		actions = append(actions, req.Action)
	}
	if want := []string{"trigger", "resolve"}; !slices.Equal(actions, want) {
		t.Errorf("PagerDuty got %v, want %v", actions, want)
	}
	if n := len(pd.Incidents()); n != 1 {
		t.Errorf("%d incidents, want 1", n)
	}
}
