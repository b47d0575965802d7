package relay_test

import (
	"context"
	"net/http"
	"testing"

	"go.opentelemetry.io/otel/trace"

	"github.com/guance-relay/guance-relay/guance"
	"github.com/guance-relay/guance-relay/relay"
	"github.com/guance-relay/guance-relay/relay/memstore"
	"github.com/guance-relay/guance-relay/relay/store"
)

// Promise 1: one Append keeps all events of a body for all lanes. Only one call is all or nothing.
func TestBodyIsOneAppend(t *testing.T) {
	db := newGateway()
	calls := 0
	db.before = func(context.Context) error {
		if calls++; calls > 1 {
			return store.ErrFull
		}
		return nil
	}
	body := `[` + fault + `,{"df_status":"error","df_title":"t","df_event_id":"e2"}]`
	if got := ask(t, webhook(t, db, open, nolog), webhookOf(body)); got.Code != http.StatusAccepted ||
		db.count() != 4 {
		t.Errorf("got %d and %d entries, want 202 and two for each of the two lanes",
			got.Code, db.count())
	}
}

// Promise 2: if a problem and its recovery have one id, the recovery is no duplicate.
func TestEventID(t *testing.T) {
	seen := make(map[string]guance.Event)
	for _, e := range []guance.Event{
		{EventID: "a", Status: "critical"},
		{EventID: "b", Status: "critical"},
		{EventID: "a", Status: "warning"},
		{EventID: "a", Status: "ok"},
		{EventID: "a", Status: "ok", SubStatus: "nodata_ok"},
		{EventID: "a", Status: "critical", SubStatus: "ok"},
		// Two systems that number their events alike.
		{EventID: "1001", Status: "error", Title: "disk full"},
		{EventID: "1001", Status: "error", Title: "host down"},
	} {
		id := relay.EventID("", &e)
		if same, known := seen[id]; known {
			t.Errorf("%s %s %s and %s %s %s are both %q", e.EventID, e.Status, e.SubStatus, same.EventID,
				same.Status, same.SubStatus, id)
		}
		seen[id] = e
	}
	for _, status := range []guance.Status{"critical", "ok"} {
		for _, none := range []string{"", "0", "000"} {
			if id := relay.EventID("", &guance.Event{EventID: none, Status: status}); id != "" {
				t.Errorf("an event with the id %q is recognised by %q", none, id)
			}
		}
	}
}

// The trace of a webhook reaches the store, so that the attempt is part of it.
func TestAcceptKeepsTheTrace(t *testing.T) {
	db := memstore.New()
	r, err := relay.New(db, nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Handle("lane", &recorder{}, nil)
	span := trace.NewSpanContext(trace.SpanContextConfig{
		TraceID: trace.TraceID{1, 2}, SpanID: trace.SpanID{3}, TraceFlags: trace.FlagsSampled,
	})
	ctx := trace.ContextWithSpanContext(t.Context(), span)
	if _, err := r.Accept(ctx, event(t, "1", "p", "critical")); err != nil {
		t.Fatal(err)
	}
	lease, err := db.Acquire(t.Context(), store.Group{Name: "lane", Lanes: []string{"lane"}})
	if err != nil {
		t.Fatal(err)
	}
	entries, err := lease.Lane("lane").Read(t.Context(), 0, 10)
	const want = "00-01020000000000000000000000000000-0300000000000000-01"
	if err != nil || len(entries) != 1 || entries[0].Trace != want {
		t.Errorf("got %d entries, %v; want one of the trace %s", len(entries), err, want)
	}
}
