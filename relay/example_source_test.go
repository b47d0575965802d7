package relay_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"

	"github.com/guance-relay/guance-relay/guance"
	"github.com/guance-relay/guance-relay/relay"
	"github.com/guance-relay/guance-relay/relay/memstore"
)

// Two teams have a Guance of their own. A recovery of one team does not end the problem of the
// other, even if it has the same reference.
func ExampleSource() {
	r, err := relay.New(memstore.New(), quiet)
	if err != nil {
		panic(err)
	}
	r.Handle("log", relay.SinkFunc(nil), nil)
	webhook, err := relay.NewHandler(r, &relay.HandlerOptions{Sources: []relay.Source{
		{Name: "bank", Tokens: []string{"a-token-of-the-bank"}},
		{Name: "shop", Tokens: []string{"a-token-of-the-shop"}, Workspaces: []string{"wksp_shop"}},
	}})
	if err != nil {
		panic(err)
	}
	for _, sent := range []struct{ token, body string }{
		{"a-token-of-the-bank", `{"df_status":"critical","df_monitor_checker_event_ref":"disk"}`},
		{"a-token-of-the-shop", `{"df_status":"ok","df_monitor_checker_event_ref":"disk"}`},
		{"a-token-of-the-shop", `{"df_monitor_checker_event_ref":"x","df_workspace_uuid":"wksp_bank"}`},
	} {
		req := httptest.NewRequest(http.MethodPost, "/guance", strings.NewReader(sent.body))
		req.Header.Set("X-Relay-Token", sent.token)
		w := httptest.NewRecorder()
		webhook.ServeHTTP(w, req)
		fmt.Print(w.Body)
	}
	// Output:
	// {"status":"accepted","events":[{"problem":"source:bank:disk","lanes":{"log":"accepted"}}]}
	// {"status":"accepted","events":[{"problem":"source:shop:disk","lanes":{"log":"accepted"}}]}
	// {"status":"accepted","events":[{"problem":"source:shop:x","fate":"refused","lanes":{}}]}
}

// A program that receives events in its own way names their source.
func ExampleRelay_AcceptFrom() {
	r, err := relay.New(memstore.New(), quiet)
	if err != nil {
		panic(err)
	}
	r.Handle("log", relay.SinkFunc(nil), nil)
	receipts, err := r.AcceptFrom(context.Background(), "bank", &guance.Event{
		Status: guance.StatusCritical, EventRef: "disk", Title: "the disk is full",
	})
	if err != nil {
		panic(err)
	}
	fmt.Println(receipts[0].Problem)
	// Output: source:bank:disk
}
