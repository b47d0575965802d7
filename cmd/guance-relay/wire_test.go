package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"
)

// dial opens a connection for raw bytes.
func (p *process) dial(t *testing.T) *net.TCPConn {
	t.Helper()
	conn, err := net.Dial("tcp", p.address())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() }) // it may be closed already
	return conn.(*net.TCPConn)
}

func (p *process) address() string { return strings.TrimPrefix(p.url, "http://") }

// talk sends bytes, closes its side, and returns the status of each answer until the server closes.
func talk(t *testing.T, conn *net.TCPConn, bytes string) (statuses []int) {
	t.Helper()
	if err := errors.Join(conn.SetDeadline(time.Now().Add(time.Minute)),
		second(io.WriteString(conn, bytes)), conn.CloseWrite()); err != nil {
		t.Fatal(err)
	}
	method, _, _ := strings.Cut(bytes, " ")
	answers := bufio.NewReader(conn)
	for {
		resp, err := http.ReadResponse(answers, &http.Request{Method: method})
		if errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, io.EOF) {
			return statuses
		}
		if err != nil {
			t.Fatalf("after %v: %v", statuses, err)
		}
		body, err := io.ReadAll(resp.Body)
		if err != nil {
			t.Fatalf("the answer after %v breaks off: %v", statuses, err)
		}
		statuses = append(statuses, resp.StatusCode)
		isJSON := resp.Header.Get("Content-Type") == "application/json"
		if isJSON && method != http.MethodHead && !json.Valid(body) {
			t.Errorf("%s with %q, which is no JSON", resp.Status, body)
		}
		if strings.Contains(string(body), token) {
			t.Errorf("%s with the token: %q", resp.Status, body)
		}
	}
}

func second(_ int, err error) error { return err }

// Requests that no well-behaved client writes. If two readers could see two ends of a request, the
// bytes after it are not read as another request. The next client is answered as usual.
func TestShapesOfRequests(t *testing.T) {
	p := start(t, "RELAY_DATA="+t.TempDir(), "PAGERDUTY_URL=http://127.0.0.1:1")
	const (
		host    = "Host: relay.example\r\n"
		auth    = "X-Relay-Token: " + token + "\r\n"
		webhook = "POST /guance HTTP/1.1\r\n" + host + auth
		chunked = "Transfer-Encoding: chunked\r\n"
		// a request that an attacker hides behind another one
		next = "GET /healthz HTTP/1.1\r\n" + host + "\r\n"
	)
	post := func(target string) string {
		return "POST " + target + " HTTP/1.1\r\n" + host + auth + "Content-Length: 2\r\n\r\n{}"
	}
	none := func(method, target string) string {
		return method + " " + target + " HTTP/1.1\r\n" + host + "\r\n"
	}
	tests := []struct {
		name, bytes string
		want        []int
	}{
		{"a webhook", post("/guance"), []int{202}},
		{"two slashes", post("//guance"), []int{307}},
		{"up and away", post("/guance/../x"), []int{307}},
		{"up and back", post("/x/../guance"), []int{307}},
		{"escaped up", post("/guance/%2e%2e/readyz"), []int{404}},
		{"an escaped slash", post("/guance%2f"), []int{404}},
		{"an escaped slash and up", post("/guance%2f..%2fhealthz"), []int{404}},
		{"twice escaped", post("/%2567uance"), []int{404}},
		{"an escaped letter", post("/%67uance"), []int{202}},
		{"an escaped zero", post("/guance%00"), []int{404}},
		{"a zero", post("/guance\x00"), []int{400}},
		{"a bad escape", post("/guance%zz"), []int{400}},
		{"a backslash", post(`/guance\..\x`), []int{404}},
		{"a parameter", post("/guance;x=y"), []int{404}},
		{"a fragment", post("/guance#x"), []int{404}},
		{"no path", post("?token=" + token), []int{400}},
		{"a path without a slash", post("guance"), []int{400}},
		{"the form for proxies", post("http://other.example/guance"), []int{202}},
		{"the form for proxies, another scheme", post("file:///guance"), []int{202}},
		{"the form for proxies, elsewhere", none("GET", "http://169.254.169.254/latest/meta-data"),
			[]int{404}},
		{"a tunnel", none("CONNECT", "other.example:443"), []int{404}},
		{"a tunnel to a path", none("CONNECT", "/guance"), []int{405}},
		{"a name of a file", none("GET", "/../../../../etc/passwd"), []int{307}},

		{"GET", none("GET", "/guance"), []int{405}},
		{"HEAD", none("HEAD", "/guance"), []int{405}},
		{"PUT", none("PUT", "/guance"), []int{405}},
		{"DELETE", none("DELETE", "/guance"), []int{405}},
		{"OPTIONS", none("OPTIONS", "/guance"), []int{405}},
		{"TRACE", none("TRACE", "/guance"), []int{405}},
		{"post in small letters", none("post", "/guance"), []int{405}},
		{"a method of 9000 letters", none(strings.Repeat("X", 9000), "/guance"), []int{405}},
		{"a method that is none", none("P@ST", "/guance"), []int{400}},
		{"no method", none("", "/guance"), []int{400}},
		{"a star", none("OPTIONS", "*"), []int{400}},
		{"a star to get", none("GET", "*"), []int{400}},

		{"HTTP/0.9", "GET /healthz\r\n\r\n", []int{400}},
		{"HTTP/1.0", "POST /guance HTTP/1.0\r\n" + auth + "Content-Length: 2\r\n\r\n{}", []int{202}},
		{"HTTP/1.0, and then more", "GET /healthz HTTP/1.0\r\n\r\n" + next, []int{200}},
		{"HTTP/1.0 that stays", "GET /healthz HTTP/1.0\r\nConnection: keep-alive\r\n\r\n" + next,
			[]int{200, 200}},
		{"HTTP/1.0 in chunks", "POST /guance HTTP/1.0\r\n" + auth + chunked + "\r\n2\r\n{}\r\n0\r\n\r\n" +
			next, []int{400}},
		{"HTTP/2", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", []int{400}},
		{"HTTP/9.9", "GET /healthz HTTP/9.9\r\n" + host + "\r\n", []int{505}},
		{"TLS", "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + strings.Repeat("\x00", 100) + "\r\n\r\n",
			[]int{400}},
		{"no host", "GET /healthz HTTP/1.1\r\n\r\n", []int{400}},
		{"two hosts", "GET /healthz HTTP/1.1\r\n" + host + host + "\r\n", []int{400}},
		{"a host that is none", "GET /healthz HTTP/1.1\r\nHost: a b\r\n\r\n", []int{400}},
		{"an upgrade", "GET /healthz HTTP/1.1\r\n" + host +
			"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\n" +
			"HTTP2-Settings: AAMAAABkAAQAAP__\r\n\r\n", []int{200}},
		{"an expectation", webhook + "Expect: 100-continue\r\nContent-Length: 2\r\n\r\n{}",
			[]int{100, 202}},
		{"another expectation", webhook + "Expect: money\r\nContent-Length: 2\r\n\r\n{}" + next,
			[]int{417}},

		{"three at once", next + post("/guance") + next, []int{200, 202, 200}},
		{"a body in the way", "GET /healthz HTTP/1.1\r\n" + host +
			fmt.Sprintf("Content-Length: %d\r\n\r\n", len(next)) + next + next, []int{200, 200}},
		{"two lengths", webhook + "Content-Length: 2\r\nContent-Length: 40\r\n\r\n{}" + next, []int{400}},
		{"one length twice", webhook + "Content-Length: 2\r\nContent-Length: 2\r\n\r\n{}" + next,
			[]int{202, 200}},
		{"a list of lengths", webhook + "Content-Length: 2, 2\r\n\r\n{}" + next, []int{400}},
		{"a length with a sign", webhook + "Content-Length: +2\r\n\r\n{}" + next, []int{400}},
		{"a negative length", webhook + "Content-Length: -2\r\n\r\n{}" + next, []int{400}},
		{"a hexadecimal length", webhook + "Content-Length: 0x2\r\n\r\n{}" + next, []int{400}},
		{"a length beyond numbers", webhook + "Content-Length: 99999999999999999999\r\n\r\n{}" + next,
			[]int{400}},
		{"a large length", webhook + "Content-Length: 9223372036854775807\r\n\r\n{}" + next, []int{413}},
		{"length and chunks", webhook + "Content-Length: 6\r\n" + chunked + "\r\n2\r\n{}\r\n0\r\n\r\n" +
			next, []int{202}},
		{"chunks and length", webhook + chunked +
			fmt.Sprintf("Content-Length: %d\r\n\r\n0\r\n\r\n", 5+len(next)) + next, []int{400}},
		{"chunks twice", webhook + chunked + chunked + "\r\n2\r\n{}\r\n0\r\n\r\n" + next, []int{501}},
		{"chunks with a tab", webhook + "Transfer-Encoding:\tchunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n" + next,
			[]int{202}},
		{"chunks with a space before the colon", webhook +
			"Transfer-Encoding : chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n" + next, []int{400}},
		{"chunks on a second line", webhook +
			"Transfer-Encoding:\r\n chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n" + next, []int{202}},
		{"another coding", webhook + "Transfer-Encoding: xchunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n" + next,
			[]int{501}},
		{"two codings", webhook + "Transfer-Encoding: gzip, chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n" + next,
			[]int{501}},
		{"a chunk beyond numbers", webhook + chunked + "\r\n10000000000000002\r\n{}\r\n0\r\n\r\n" + next,
			[]int{400}},
		{"a chunk of a negative size", webhook + chunked + "\r\n-2\r\n{}\r\n0\r\n\r\n" + next,
			[]int{400}},
		{"a chunk longer than it says", webhook + chunked + "\r\n2\r\n{}x\r\n0\r\n\r\n" + next,
			[]int{400}},
		{"a chunk that ends in a newline", webhook + chunked + "\r\n2\n{}\n0\n\n" + next, []int{400}},
		{"chunks with a trailer", webhook + chunked +
			"Trailer: X-Relay-Token\r\n\r\n2\r\n{}\r\n0\r\nX-Relay-Token: x\r\n\r\n" + next, []int{202}},
		{"the token in a trailer", "POST /guance HTTP/1.1\r\n" + host + chunked +
			"Trailer: X-Relay-Token\r\n\r\n2\r\n{}\r\n0\r\n" + auth + "\r\n", []int{401}},
		{"no end of the chunks", webhook + chunked + "\r\n2\r\n{}\r\n", []int{400}},
		{"half a body", webhook + "Content-Length: 9\r\n\r\n{}", []int{400}},
		{"half a header", webhook + "Content-Le", []int{400}},
		{"a header that is none", "GET /healthz HTTP/1.1\r\n" + host + "no colon\r\n\r\n", []int{400}},
		{"a header with a zero", "GET /healthz HTTP/1.1\r\n" + host + "X: a\x00b\r\n\r\n", []int{400}},
		{"a header with a return", "GET /healthz HTTP/1.1\r\n" + host + "X: a\rY: b\r\n\r\n", []int{400}},
		{"a header with no name", "GET /healthz HTTP/1.1\r\n" + host + ": x\r\n\r\n", []int{400}},
		{"the first header on a second line", "GET /healthz HTTP/1.1\r\n X: y\r\n" + host + "\r\n",
			[]int{400}},
		{"empty lines", "\r\n\r\n\r\n" + next, []int{400}},
		{"nothing", "", nil},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			if got := talk(t, p.dial(t), test.bytes); !slices.Equal(got, test.want) {
				t.Errorf("answered with %v, want %v", got, test.want)
			}
		})
	}
	p.post(t, string(sample))
	if strings.Contains(p.output(), "panic") {
		t.Errorf("a panic:\n%s", p.output())
	}
}
