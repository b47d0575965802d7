package console_test

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"

	"github.com/guance-relay/guance-relay/relay"
	"github.com/guance-relay/guance-relay/relay/console"
	"github.com/guance-relay/guance-relay/relay/memstore"
)

// The console is mounted on the service's own mux, behind a proxy that authenticates people and
// says in two headers who they are. Those on call may act, and others may read.
func ExampleNew() {
	r, err := relay.New(memstore.New(), &relay.Options{Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		fmt.Println(err)
		return
	}
	r.Handle("pagerduty", relay.SinkFunc(nil), nil)
	h, err := console.New(r, &console.Options{
		Authorize: func(req *http.Request) console.Permission {
			switch req.Header.Get("X-Forwarded-Groups") {
			case "oncall":
				return console.Act
			case "staff":
				return console.Read
			}
			return console.None
		},
		UserHeader: "X-Forwarded-User",
		Hosts:      []string{"relay.example.com"},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	mux := http.NewServeMux()
	mux.Handle("/console/", http.StripPrefix("/console", h))

	for _, group := range []string{"", "staff"} {
		req := httptest.NewRequest(http.MethodGet, "/console/api/lanes", nil)
		req.Host = "relay.example.com"
		req.Header.Set("X-Forwarded-Groups", group)
		w := httptest.NewRecorder()
		mux.ServeHTTP(w, req)
		var answer struct {
			Lanes []struct{ Name string }
		}
		err := json.Unmarshal(w.Body.Bytes(), &answer)
		fmt.Println(w.Code, answer.Lanes, err)
	}
	// Output:
	// 403 [] <nil>
	// 200 [{pagerduty}] <nil>
}
