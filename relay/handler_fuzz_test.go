package relay_test

import (
	"bytes"
	"compress/gzip"
	"encoding/base64"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"net/textproto"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/guance-relay/guance-relay/guance"
	"github.com/guance-relay/guance-relay/relay"
)

// documented are the statuses of Handler's comment that a request alone can cause.
var documented = []int{202, 400, 401, 403, 405, 413, 415}

// serve builds a request of the parts that a hostile client controls, and checks what holds for
// every answer. It returns the answer.
func serve(
	t *testing.T, opts *relay.HandlerOptions, method, query, peer, headers string, body []byte,
) (code int, answer string) {
	t.Helper()
	store := newGateway()
	h := webhook(t, store, opts, nolog)
	req := &http.Request{
		Method: method, URL: &url.URL{Path: "/guance", RawQuery: query}, RemoteAddr: peer,
		Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, Header: make(http.Header),
		Body: io.NopCloser(bytes.NewReader(body)), ContentLength: -1,
	}
	for line := range strings.Lines(headers) {
		name, value, _ := strings.Cut(strings.TrimRight(line, "\r\n"), ":")
		name = textproto.CanonicalMIMEHeaderKey(name)
		req.Header[name] = append(req.Header[name], strings.TrimSpace(value))
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, req)
	if !slices.Contains(documented, w.Code) {
		t.Fatalf("%d is no documented answer: %s", w.Code, w.Body)
	}
	var got struct{ Status, Message *string }
	if err := json.Unmarshal(w.Body.Bytes(), &got); err != nil || got.Status == nil ||
		(*got.Status == "accepted") != (w.Code == 202) {
		t.Fatalf("%d with %s, %v", w.Code, w.Body, err)
	}
	if (w.Code == 202) != (got.Message == nil) {
		t.Fatalf("%d with %s: a refusal must have a message, and nothing else may", w.Code, w.Body)
	}
	if w.Code != 202 && store.count() > 0 {
		t.Fatalf("%d and %d entries kept", w.Code, store.count())
	}
	if strings.Contains(w.Body.String(), sesame) && !bytes.Contains(body, []byte(sesame)) {
		t.Fatalf("a secret is in the answer: %s", w.Body)
	}
	return w.Code, w.Body.String()
}

const sesame = "0pen-sesame"

// The handler answers any request with a documented status. It accepts only requests that carry the
// secret and come from an allowed network. It keeps what it accepts and nothing else.
func FuzzHandler(f *testing.F) {
	const peer, proxy, gzipped = "198.51.100.7:1", "10.0.0.1:1", "Content-Encoding: gzip"
	const header, query = "X-Relay-Token: " + sesame, "token=" + sesame
	samples, err := filepath.Glob("../guance/testdata/*.json")
	if err != nil || len(samples) == 0 {
		f.Fatalf("no samples: %v", err)
	}
	for _, file := range samples {
		body, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		f.Add("POST", query, peer, "Content-Type: application/json", body)
	}
	pair := base64.StdEncoding.EncodeToString([]byte("ali:" + sesame))
	for _, seed := range []struct{ method, query, peer, headers, body string }{
		{"POST", "", peer, "Authorization: Bearer " + sesame, fault},
		{"POST", "", "[::ffff:198.51.100.7]:1", "Authorization: Basic " + pair, fault},
		{"POST", "", proxy, header + "\nX-Forwarded-For: 192.0.2.1, 198.51.100.7, 10.0.0.9:1", fault},
		{"POST", "", proxy, header + "\nX-Forwarded-For: 198.51.100.7, x", fault},
		{"POST", query, peer, gzipped, zip(f, fault)},
		{"POST", query, peer, "Content-Encoding: x-gzip, identity", zip(f, fault[:9], fault[9:])},
		{"POST", query, peer, gzipped, zip(f, strings.Repeat(" ", 1<<17))},
		{"POST", query, peer, gzipped, zip(f, fault)[:30]},
		{"POST", query, peer, "Content-Encoding: br", fault},
		{"POST", "token=%zz&token=%00;", "@", "Authorization: Basic !\nAuthorization: Bearer", fault},
		{"GET", "", "", "", ""},
		{"post\r\n", "", "", ":", "["},
	} {
		f.Add(seed.method, seed.query, seed.peer, seed.headers, []byte(seed.body))
	}
	opts := &relay.HandlerOptions{
		Tokens: []string{sesame}, Basic: []string{"ali:" + sesame}, MaxBytes: 64 << 10,
		Allow: prefixes("198.51.100.0/24"), TrustedProxies: prefixes("10.0.0.0/8"),
	}
	f.Fuzz(func(t *testing.T, method, query, peer, headers string, body []byte) {
		code, _ := serve(t, opts, method, query, peer, headers, body)
		if code == 403 || code == 405 {
			return
		}
		if !strings.Contains(peer+headers, "198.51.100.") {
			t.Fatalf("%d for a peer of no allowed network", code)
		}
		unescaped, _ := url.QueryUnescape(query)
		secret := strings.Contains(query+unescaped+headers, sesame) || strings.Contains(headers, "asic ")
		if code != 401 && !secret {
			t.Fatalf("%d for a request without the secret", code)
		}
	})
}

// A compressed body gets the answer of the body itself, whatever its gzip members are.
func FuzzGzip(f *testing.F) {
	f.Add([]byte(fault), uint16(0))
	f.Add([]byte(fault), uint16(20))
	f.Add([]byte(`[{},{"df_status":`), uint16(4))
	f.Add(bytes.Repeat([]byte(" "), 64<<10), uint16(1))
	f.Add(bytes.Repeat([]byte(" "), 64<<10+1), uint16(1))
	opts := &relay.HandlerOptions{NoAuth: true, MaxBytes: 64 << 10}
	f.Fuzz(func(t *testing.T, body []byte, cut uint16) {
		at := min(int(cut), len(body))
		zipped := zip(t, string(body[:at]), string(body[at:]))
		code, answer := serve(t, opts, "POST", "", "", "", body)
		const gzipped = "Content-Encoding: gzip"
		zippedCode, zippedAnswer := serve(t, opts, "POST", "", "", gzipped, []byte(zipped))
		tooLarge := len(zipped) > 64<<10 && zippedCode == 413
		if !tooLarge && (code != zippedCode || answer != zippedAnswer) {
			t.Fatalf("%d %s, and compressed %d %s", code, answer, zippedCode, zippedAnswer)
		}
		if _, err := guance.Decode(body, ""); (code == 202) != (err == nil && len(body) <= 64<<10) {
			t.Fatalf("%d for a body that decodes with %v", code, err)
		}
	})
}

// zip compresses each part into a gzip member of its own.
func zip(t testing.TB, parts ...string) string {
	t.Helper()
	var b bytes.Buffer
	for _, part := range parts {
		w := gzip.NewWriter(&b)
		if _, err := io.WriteString(w, part); err != nil {
			t.Fatal(err)
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
	}
	return b.String()
}
