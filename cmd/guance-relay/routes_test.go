package main

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"testing"
	"testing/synctest"
	"time"
)

// Only the webhook's path reaches the webhook, and every answer is JSON.
func TestRoutes(t *testing.T) {
	tests := []struct {
		method, target string
		code           int
	}{
		{"POST", "/guance", 202},
		{"POST", "/guance?token=x", 202},
		{"POST", "/guance/", 202},
		{"POST", "/guance/x", 404},
		{"POST", "/Guance", 404},
		{"POST", "/guance%2f", 404},
		{"POST", "/guance/..%2fguance", 404},
		{"POST", "/", 404},
		{"GET", "/", 404},
		{"GET", "/favicon.ico", 404},
		{"GET", "/healthz", 200},
		{"GET", "/readyz", 503},
		{"GET", "/debug/pprof/", 404},
		{"GET", "/metrics/../../../etc/passwd", 307},
		{"POST", "//guance", 307},
		{"POST", "/./guance", 307},
	}
	webhook := http.HandlerFunc(func(w http.ResponseWriter,
		_ *http.Request) {
		writeStatus(w, http.StatusAccepted, "accepted", "")
	})
	h := routes(webhook, func(context.Context) error { return errors.New("the store is full") })
	for _, test := range tests {
		w := httptest.NewRecorder()
		h.ServeHTTP(w, httptest.NewRequest(test.method, test.target, nil))
		var answer struct{ Status, Message string }
		err := json.Unmarshal(w.Body.Bytes(), &answer)
		if redirected := w.Code == http.StatusTemporaryRedirect; w.Code != test.code || !redirected &&
			(err != nil || answer.Status == "") {
			t.Errorf("%s %s: %d %s, want %d and JSON", test.method, test.target, w.Code, w.Body, test.code)
		}
		if test.code == 503 && answer.Message != "the store is full" {
			t.Errorf("not ready, because of %q, want the reason", answer.Message)
		}
	}
}

// /readyz checks the store once a second at most, however many clients there are, and also if they
// hang up.
func TestReadinessIsAskedOnceASecond(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		asked, full := 0, errors.New("full")
		ready := &readiness{check: func(ctx context.Context) error {
			asked++
			return errors.Join(ctx.Err(), full)
		}}
		gone, hangUp := context.WithCancel(t.Context())
		hangUp()
		start := time.Now()
		for range 1000 {
			for range 10 {
				go func() {
					if err := ready.now(gone); !errors.Is(err, full) || errors.Is(err, context.Canceled) {
						t.Errorf("not ready because of %v, want what the store says", err)
					}
				}()
			}
			time.Sleep(10 * time.Millisecond)
		}
		synctest.Wait()
		if most := int(time.Since(start)/time.Second) + 1; asked < 2 || asked > most {
			t.Errorf("the store was asked %d times in %v, want %d at most", asked, time.Since(start), most)
		}
		full = nil
		time.Sleep(2 * time.Second)
		if err := ready.now(t.Context()); err != nil {
			t.Errorf("ready again, and the answer is %v", err)
		}
	})
}
