package main

import (
	"bytes"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// Each kind of access works from the environment alone, and its secret is not in the log.
func TestAccess(t *testing.T) {
	file := filepath.Join(t.TempDir(), "tokens")
	if err := os.WriteFile(file, []byte("\nfrom-the-file\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	tests := map[string]struct {
		env  []string
		send map[string]string // headers, and the status they bring
		code int
	}{
		"header": {[]string{"RELAY_HEADER=X-Guance"}, map[string]string{"X-Guance": token},
			202},
		"the header before": {[]string{"RELAY_HEADER=X-Guance"},
			map[string]string{"X-Relay-Token": token}, 401},
		"basic": {[]string{"RELAY_TOKENS=", "RELAY_BASIC=guance:the-password"},
			map[string]string{"Authorization": "Basic Z3VhbmNlOnRoZS1wYXNzd29yZA=="}, 202},
		"file": {[]string{"RELAY_TOKENS=", "RELAY_TOKENS_FILE=" + file},
			map[string]string{"Authorization": "Bearer from-the-file"}, 202},
		"network alone":      {[]string{"RELAY_TOKENS=", "RELAY_ALLOW=192.0.2.1, 127.0.0.1"}, nil, 202},
		"network and secret": {[]string{"RELAY_ALLOW=127.0.0.0/8"}, nil, 401},
		"another network": {[]string{"RELAY_ALLOW=192.0.2.0/24"},
			map[string]string{"X-Relay-Token": token}, 403},
		"by a proxy": {[]string{"RELAY_ALLOW=192.0.2.0/24", "RELAY_TRUSTED_PROXIES=127.0.0.1"},
			map[string]string{"X-Relay-Token": token, "X-Forwarded-For": "192.0.2.9"}, 202},
		"nobody": {[]string{"RELAY_TOKENS=", "RELAY_NO_AUTH=true"}, nil, 202},
		"a small body": {[]string{"RELAY_MAX_BODY=100"}, map[string]string{"X-Relay-Token": token},
			413},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			p := start(t, append(test.env, "RELAY_DATA="+t.TempDir(), "PAGERDUTY_URL=http://127.0.0.1:1")...)
			req, err := http.NewRequest(http.MethodPost, p.url+"/guance", bytes.NewReader(sample))
			if err != nil {
				t.Fatal(err)
			}
			for name, value := range test.send {
				req.Header.Set(name, value)
			}
			resp, err := http.DefaultClient.Do(req)
			if err != nil {
				t.Fatal(err)
			}
			resp.Body.Close()
			if resp.StatusCode != test.code {
				t.Errorf("got %s, want %d", resp.Status, test.code)
			}
			for _, secret := range []string{token, "the-password", "from-the-file"} {
				if strings.Contains(p.output(), secret) {
					t.Errorf("a secret is in the log:\n%s", p.output())
				}
			}
		})
	}
}

func TestTokenFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "tokens")
	write := func(text string) {
		t.Helper()
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("old-one\n")
	f, err := openTokenFile(path)
	if err != nil {
		t.Fatal(err)
	}
	expect := func(want ...string) {
		t.Helper()
		if got := f.tokens(); !slices.Equal(got, want) {
			t.Errorf("tokens %q, want %q", got, want)
		}
	}
	expect("old-one")
	write("old-one\r\n\r\n new-one ")
	expect("old-one", "new-one")
	write("new-two") // as long as the first, and within the same tick of the file system's clock
	expect("new-two")
	for range 3 {
		write(" \n")
		expect("new-two")
		write("new-three # behind")
		expect("new-two")
		if err := os.Remove(path); err != nil {
			t.Fatal(err)
		}
		expect("new-two")
		if err := f.check(); err == nil || strings.Contains(err.Error(), "new-two") {
			t.Errorf("of a file that is gone: %v, want an error without tokens", err)
		}
	}
	write("\ufeff# comment\r\nback\r\n")
	expect("back")
	write("#")
	expect("back")
}

func TestNetworkList(t *testing.T) {
	got, err := networks(" 192.0.2.7, ,2001:db8::1,10.0.0.0/8,::ffff:192.0.2.9,::ffff:10.0.0.0/104")
	if want := "[192.0.2.7/32 2001:db8::1/128 10.0.0.0/8 192.0.2.9/32 10.0.0.0/8]"; err != nil ||
		fmt.Sprint(got) != want {
		t.Errorf("got %v, %v, want %s", got, err, want)
	}
	for _, bad := range []string{"10.0.0.0/33", "10.0.0", "host", "10.0.0.0-10.0.0.9",
		"10.0.0.0/8 11.0.0.0/8"} {
		if got, err := networks(bad); err == nil || !strings.Contains(err.Error(), bad) {
			t.Errorf("%q is read as %v, %v", bad, got, err)
		}
	}
}
