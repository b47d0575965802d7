package pagerduty_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/guance-relay/guance-relay/pagerduty"
	"github.com/guance-relay/guance-relay/pagerduty/pagerdutytest"
)

func TestFact32RoutingKeyForms(t *testing.T) {
	good := []string{
		secret,
		"737ea619db564d41bd9824063e1f8au1", // letters beyond hexadecimal
		"R028DIE06SNKNO6V5ACSLRV7Y0TUVG7T", // of an orchestration
		"  " + secret + "\r\n",
	}
	for _, s := range good {
		key, err := pagerduty.ParseRoutingKey(s)
		if err != nil || key.Reveal() != strings.TrimSpace(s) {
			t.Errorf("ParseRoutingKey(%q) = %v, %v", s, key, err)
		}
		if want := strings.HasPrefix(s, "R"); key.Orchestration() != want {
			t.Errorf("%q: Orchestration = %t", s, key.Orchestration())
		}
	}
	bad := []struct{ key, says string }{
		{"", "empty"},
		{" \n", "empty"},
		{secret[:31], "31 characters"},
		{secret + "0", "33 characters"},
		{secret[:31] + "+", "neither a letter nor a digit"},
		{secret[:31] + "-", "neither a letter nor a digit"},
		{secret[:15] + " " + secret[16:], "neither a letter nor a digit"},
		{"u+wMxLxrX-dEP_ixz3Rz", "REST API token"},
		{strings.Repeat("é", 16), "neither a letter nor a digit"},
	}
	for _, test := range bad {
		_, err := pagerduty.ParseRoutingKey(test.key)
		if err == nil || !strings.Contains(err.Error(), test.says) {
			t.Errorf("ParseRoutingKey(%q) = %v; want %q in it", test.key, err, test.says)
			continue
		}
		if !strings.Contains(err.Error(), "Integration Key") || test.key != "" &&
			strings.Contains(err.Error(), test.key) && len(test.key) > 3 {
			t.Errorf("%v: no hint, or the key in it", err)
		}
	}
	if _, err := pagerduty.NewClient(pagerduty.RoutingKey{}, nil); err == nil {
		t.Error("NewClient took the zero RoutingKey")
	}
	if _, err := pagerduty.NewClient(nil, nil); err == nil {
		t.Error("NewClient took no key")
	}
}

func TestFact32NoKeyIsALocalError(t *testing.T) {
	fake := pagerdutytest.NewTransport()
	client := newClient(t, &pagerduty.Options{Transport: fake})
	for _, none := range []pagerduty.KeySource{nil, pagerduty.RoutingKey{}} {
		e := failed(t, client.WithKey(none), trigger("a"))
		// A missing key is not the event's fault, so the event must be kept.
		if e.Class != pagerduty.ClassConfig || e.Permanent() || e.RetryAfter() != 0 ||
			e.Remedy() == "" || len(fake.Requests()) != 0 {
			t.Errorf("with key %v: %v after %d requests", none, e, len(fake.Requests()))
		}
	}
}

const otherSecret = "737ea619db564d41bd9824063e1f8au1"

func TestFact33KeyFileIsTrimmedAndFollowed(t *testing.T) {
	path := filepath.Join(t.TempDir(), "key")
	// A change is noticed although the file keeps its time and size.
	clock := time.Now().Add(-time.Hour)
	write := func(text string) {
		t.Helper()
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Chtimes(path, clock, clock); err != nil {
			t.Fatal(err)
		}
	}
	write("\n " + secret + " \r\n")
	file, err := pagerduty.OpenKeyFile(path)
	if err != nil {
		t.Fatal(err)
	}
	fake := pagerdutytest.NewTransport()
	client, err := pagerduty.NewClient(file, &pagerduty.Options{Transport: fake})
	if err != nil {
		t.Fatal(err)
	}
	steps := []struct {
		change func()
		key    string
		sound  bool
	}{
		{func() {}, secret, true},
		{func() { write(otherSecret) }, otherSecret, true},
		{func() { write("") }, otherSecret, false}, // in the middle of a rotation
		{func() { write("not a key") }, otherSecret, false},
		{func() { write(secret + "\n" + otherSecret) }, otherSecret, false}, // two keys
		{func() {
			if err := os.Remove(path); err != nil {
				t.Fatal(err)
			}
		}, otherSecret, false},
		{func() { write(secret) }, secret, true},
		{func() { write(strings.Repeat(" ", 5000) + otherSecret) }, secret, false}, // something else
		{func() { write("\ufeff# of the service \"shop\"\r\n" + otherSecret + "\r\n") }, otherSecret,
			true},
	}
	for i, step := range steps {
		step.change()
		if _, err := client.Send(t.Context(), trigger("a")); err != nil {
			t.Fatalf("step %d: %v", i, err)
		}
		if got := fake.Requests()[i].Key; got != pagerdutytest.KeyLabel(step.key) {
			t.Errorf("step %d: sent under another key", i)
		}
		if err := file.Check(); (err == nil) != step.sound {
			t.Errorf("step %d: Check = %v", i, err)
		}
	}
	if _, err := pagerduty.OpenKeyFile(filepath.Join(t.TempDir(), "none")); err == nil {
		t.Error("OpenKeyFile of a missing file gives no error")
	}
}

func TestRoutingKeyFromEnv(t *testing.T) {
	t.Setenv("PAGERDUTY_TEST_KEY", " "+secret+"\n")
	if key, err := pagerduty.RoutingKeyFromEnv("PAGERDUTY_TEST_KEY"); err != nil ||
		key != routingKey(t, secret) {
		t.Errorf("RoutingKeyFromEnv = %v, %v", key, err)
	}
	t.Setenv("PAGERDUTY_TEST_KEY", "short")
	for _, name := range []string{"PAGERDUTY_TEST_KEY", "PAGERDUTY_TEST_UNSET"} {
		if _, err := pagerduty.RoutingKeyFromEnv(name); err == nil ||
			!strings.Contains(err.Error(), name) {
			t.Errorf("RoutingKeyFromEnv(%s) = %v; want an error with the name in it", name, err)
		}
	}
}
