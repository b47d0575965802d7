package relay_test

import (
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"

	"github.com/guance-relay/guance-relay/relay"
	"github.com/guance-relay/guance-relay/relay/memstore"
)

// The handler is mounted on the service's own mux. During a rotation two tokens are valid.
func ExampleNewHandler() {
	r, err := relay.New(memstore.New(), nil) // boltstore.Open for a store that is durable
	if err != nil {
		fmt.Println(err)
		return
	}
	r.Handle("log", relay.SinkFunc(nil), nil)
	webhook, err := relay.NewHandler(r, &relay.HandlerOptions{
		Tokens: []string{"the-old-token", "the-new-token"},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	mux := http.NewServeMux()
	mux.Handle("/guance", webhook)

	body := `{
		"df_event_id": "event-1",
		"df_monitor_checker_event_ref": "disk-full",
		"df_status": "critical",
		"df_title": "the disk is full"
	}`
	for _, token := range []string{"the-new-token", "another-token"} {
		req := httptest.NewRequest(http.MethodPost, "/guance", strings.NewReader(body))
		req.Header.Set("X-Relay-Token", token)
		w := httptest.NewRecorder()
		mux.ServeHTTP(w, req)
		fmt.Print(w.Code, " ", w.Body)
	}
	// Output:
	// 202 {"status":"accepted","events":[{"event_id":"event-1","problem":"disk-full","lanes":{"log":"accepted"}}]}
	// 401 {"status":"error","message":"no valid secret: send a token as Authorization: Bearer, as X-Relay-Token or as ?token="}
}

// The handler stands behind a reverse proxy. It takes webhooks from one network, with a user and
// password in the URL that Guance is given. The proxy is the peer of every connection: the address
// that it adds to X-Forwarded-For is the sender, and addresses before it are ignored.
func ExampleNewHandler_networks() {
	r, err := relay.New(memstore.New(), &relay.Options{Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		fmt.Println(err)
		return
	}
	webhook, err := relay.NewHandler(r, &relay.HandlerOptions{
		Basic:          []string{"guance:a-long-password"},
		Allow:          []netip.Prefix{netip.MustParsePrefix("203.0.113.0/24")},
		TrustedProxies: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, forwarded := range []string{"203.0.113.7", "203.0.113.7, 192.0.2.1"} {
		req := httptest.NewRequest(http.MethodPost, "/guance", strings.NewReader(`[]`))
		req.RemoteAddr = "10.0.0.2:34567"
		req.Header.Set("X-Forwarded-For", forwarded)
		req.SetBasicAuth("guance", "a-long-password")
		w := httptest.NewRecorder()
		webhook.ServeHTTP(w, req)
		fmt.Print(w.Code, " ", w.Body)
	}
	// Output:
	// 202 {"status":"accepted","events":[]}
	// 403 {"status":"error","message":"webhooks are not taken from this address"}
}
