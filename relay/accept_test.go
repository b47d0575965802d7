package relay_test

import (
	"context"
	"net/http"
	"testing"

	"github.com/guance-relay/guance-relay/guance"
	"github.com/guance-relay/guance-relay/relay"
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
