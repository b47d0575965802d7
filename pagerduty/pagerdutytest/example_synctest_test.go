package pagerdutytest_test

import (
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/guance-relay/guance-relay/pagerduty/pagerdutytest"
)

// pagesAfterTheOutage tests a sender that tries again once a minute. The four hours are those of
// the bubble and take no time.
func pagesAfterTheOutage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fake := pagerdutytest.NewTransport()
		fake.Outage(4*time.Hour, pagerdutytest.Fault{Status: http.StatusBadGateway})

		client := &http.Client{Transport: fake, Timeout: 30 * time.Second}
		go func() { // the program under test
			for !strings.HasPrefix(page(client, "https://events.pagerduty.com", diskFull), "202") {
				time.Sleep(time.Minute)
			}
		}()

		start := time.Now()
		if err := fake.WaitOpen(t.Context(), "db-1/disk"); err != nil {
			t.Fatal(err)
		}
		if took := time.Since(start); took != 4*time.Hour {
			t.Errorf("paged after %v", took)
		}
		if most := fake.MaxPerWindow(); most > 1 {
			t.Errorf("%d requests within a minute", most)
		}
	})
}

// Inside a testing/synctest bubble, hours of outage take no time.
func ExampleTransport() {
	// In a file of tests:
	_ = func(t *testing.T) { pagesAfterTheOutage(t) }
}
