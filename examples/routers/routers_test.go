package main

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/guance-relay/guance-relay/guance"
	"github.com/guance-relay/guance-relay/guance/guancetest"
	"github.com/guance-relay/guance-relay/relay"
	"github.com/guance-relay/guance-relay/relay/memstore"
	"github.com/guance-relay/guance-relay/relay/relaytest"
)

// With each router an event is taken and delivered, and the sender gets the handler's answers.
func TestRouters(t *testing.T) {
	for name, mount := range routers {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				target := relaytest.Record(nil)
				r, err := relay.New(memstore.New(), nil)
				if err != nil {
					t.Fatal(err)
				}
				r.Handle("lane", target, nil)
				webhook, err := relay.NewHandler(r, &relay.HandlerOptions{Tokens: []string{"token"}})
				if err != nil {
					t.Fatal(err)
				}
				ctx, stop := context.WithCancel(t.Context())
				done := make(chan error)
				go func() { done <- r.Run(ctx) }()
				defer func() {
					stop()
					if err := <-done; err != nil {
						t.Error(err)
					}
				}()

				handler := mount(webhook)
				event := guancetest.NewProblem("磁盘使用率", "host", "web001").Fault(guance.LevelCritical)
				for _, tc := range []struct {
					method, path, token string
					status              int
					says                string
				}{
					{http.MethodPost, "/guance", "token", http.StatusAccepted, event.EventID},
					{http.MethodPost, "/guance", "wrong", http.StatusUnauthorized, "token"},
					{http.MethodGet, "/guance", "token", http.StatusMethodNotAllowed, "POST"},
					{http.MethodPost, "/elsewhere", "token", http.StatusNotFound, ""},
				} {
					req := httptest.NewRequestWithContext(ctx, tc.method, tc.path,
						strings.NewReader(string(event.Raw)))
					req.Header.Set("Content-Type", "application/json")
					req.Header.Set("Authorization", "Bearer "+tc.token)
					w := httptest.NewRecorder()
					handler.ServeHTTP(w, req)
					body, err := io.ReadAll(w.Result().Body)
					if err != nil || w.Code != tc.status || !strings.Contains(string(body), tc.says) {
						t.Errorf("%s %s with token %q is answered with %d %s, want %d and %q", tc.method, tc.path,
							tc.token, w.Code, body, tc.status, tc.says)
					}
				}
				wait, cancel := context.WithTimeout(ctx, time.Minute)
				defer cancel()
				if err := target.WaitTaken(wait, 1); err != nil {
					t.Error(err)
				}
				if got := target.Taken(); len(got) != 1 || got[0].Problem != event.ProblemKey() {
					t.Errorf("delivered: %v", got)
				}
			})
		})
	}
}
