package main

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/guance-relay/guance-relay/guance"
	"github.com/guance-relay/guance-relay/guance/guancetest"
	"github.com/guance-relay/guance-relay/relay"
	"github.com/guance-relay/guance-relay/relay/relaytest"
)

const token = "b1946ac9-2492-4d23-9f3c-a1b2c3d4e5f6"

// An api is the ticket system: the open tickets by id.
type api map[string]ticket

func (a api) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Header.Get("Authorization") != "Bearer "+token {
		w.WriteHeader(http.StatusUnauthorized)
		return
	}
	id := r.PathValue("id")
	if _, ok := a[id]; !ok && r.Method == http.MethodDelete {
		w.WriteHeader(http.StatusNotFound)
		return
	}
	if delete(a, id); r.Method == http.MethodPut {
		var t ticket
		if json.NewDecoder(r.Body).Decode(&t) != nil || t.Title == "" {
			w.WriteHeader(http.StatusUnprocessableEntity)
			return
		}
		a[id] = t
	}
	w.WriteHeader(http.StatusNoContent)
}

func TestTicketsKeepTheContract(t *testing.T) {
	relaytest.TestSink(t, func(_ *testing.T, target *relaytest.Target) relay.Sink {
		return NewTickets(target.URL, token)
	}, &relaytest.SuiteOptions{Secrets: []string{token}, Patience: time.Minute})
}

// A fault opens a ticket, a repeat changes it, and a recovery closes it, also when it comes twice.
func TestTickets(t *testing.T) {
	tickets, mux := make(api), http.NewServeMux()
	mux.Handle("/tickets/{id}", tickets)
	server := httptest.NewServer(mux)
	defer server.Close()
	sink, p := NewTickets(server.URL, token), guancetest.NewProblem("disk", "host", "web001")
	for _, tc := range []struct {
		event    *guance.Event
		priority string
	}{
		{p.Fault(guance.LevelWarning), "warning"},
		{p.Fault(guance.LevelCritical), "critical"},
		{p.Recover(), ""},
		{p.Recover(), ""},
	} {
		problem := "a/b " + tc.event.ProblemKey()
		err := sink.Deliver(context.Background(),
			&relay.Delivery{Event: tc.event, Problem: problem})
		if got := tickets[problem].Priority; err != nil || got != tc.priority {
			t.Errorf("status %s: %v, and the priority is %q, want %q", tc.event.Status, err, got,
				tc.priority)
		}
	}
	if len(tickets) > 0 {
		t.Errorf("tickets are open: %v", tickets)
	}
	if sink.Ignores(p.Info()) == "" || sink.Ignores(p.Recover()) != "" {
		t.Error("an event without a state is not ignored, or a recovery is")
	}
}
