package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"
)

// memory is what the server may use with all its connections open: 1024 of some 60 KiB, 64 MiB of
// bodies, and the store. Measured: 50 MiB.
const memory = raceFactor * 128 << 20

// Ten thousand silent or slow connections neither keep honest webhooks out nor grow the server.
func TestIdleConnections(t *testing.T) {
	p := start(t, "RELAY_DATA="+t.TempDir(), "PAGERDUTY_URL=http://127.0.0.1:1", "LOG_LEVEL=info")
	idle := 10_000
	var files syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &files); err == nil && files.Cur < 11_000 {
		idle = int(files.Cur) * 3 / 4
		t.Logf("%d files may be open here: %d idle connections", files.Cur, idle)
	}
	address := strings.TrimPrefix(p.url, "http://")
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: time.Minute}
	var slowest time.Duration
	honest := func() {
		t.Helper()
		began := time.Now()
		resp, err := client.Post(p.url+"/guance?token="+token, "application/json",
			bytes.NewReader(sample))
		if err != nil {
			t.Fatalf("an honest webhook: %v", err)
		}
		resp.Body.Close()
		if resp.StatusCode != http.StatusAccepted {
			t.Errorf("an honest webhook: %s", resp.Status)
		}
		slowest = max(slowest, time.Since(began))
	}
	for i := range idle {
		conn, err := net.Dial("tcp", address)
		if err != nil {
			t.Fatalf("connection %d: %v", i, err)
		}
		defer conn.Close()
		// On an error the server has closed the connection, as it may.
		switch i % 3 {
		case 0:
			_, _ = io.WriteString(conn, "POST /guance HTTP/1.1\r\nHost: ")
		case 1:
			_, _ = io.WriteString(conn, "GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
		}
		if i%500 == 499 {
			honest()
		}
	}
	honest()
	if status, err := os.ReadFile(fmt.Sprintf("/proc/%d/statm", p.Process.Pid)); err == nil { // Linux
		var pages, resident int
		if _, err := fmt.Sscan(string(status), &pages, &resident); err != nil {
			t.Fatal(err)
		}
		used := resident * os.Getpagesize()
		t.Logf("%d connections: %d MiB resident, the slowest honest webhook took %v", idle, used>>20,
			slowest.Round(time.Millisecond))
		if used > memory {
			t.Errorf("%d MiB resident, want %d at most", used>>20, memory>>20)
		}
	}
	if err := p.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if err := p.Wait(); err != nil {
		t.Errorf("SIGTERM among idle connections: %v, want exit 0", err)
	}
}

// Headers beyond the limit are refused before the handler sees them.
func TestHugeHeader(t *testing.T) {
	p := start(t, "RELAY_DATA="+t.TempDir(), "PAGERDUTY_URL=http://127.0.0.1:1")
	req, err := http.NewRequest(http.MethodPost, p.url+"/guance", bytes.NewReader(sample))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("X-Relay-Token", strings.Repeat("x", 64<<10))
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if resp.StatusCode != http.StatusRequestHeaderFieldsTooLarge {
		t.Errorf("got %s, want 431", resp.Status)
	}
}

// pipes is an in-memory listener, whose connections work in a synctest bubble.
type pipes chan net.Conn

func (p pipes) Accept() (net.Conn, error) {
	if c, ok := <-p; ok {
		return c, nil
	}
	return nil, net.ErrClosed
}
func (p pipes) Addr() net.Addr { return &net.TCPAddr{} }
func (p pipes) Close() error   { close(p); return nil }

func (p pipes) dial() net.Conn {
	client, server := net.Pipe()
	p <- server
	return client
}

// At the limit, the longest waiting connection is closed, and one that is being answered never is.
// If none waits, the new one waits.
func TestConnectionLimit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		listener, release := make(pipes, 10), make(chan struct{})
		server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
			switch req.URL.Path {
			case "/slow":
				<-release
			case "/slower":
				<-req.Context().Done()
			}
			w.WriteHeader(http.StatusNoContent)
		})}
		var serving sync.WaitGroup
		// ends with Close
		serving.Go(func() { _ = server.Serve(limitConnections(server, listener, 3, nil, nil)) })
		defer serving.Wait()
		defer server.Close()

		// ask sends a request and reads the answer. If the answer is slow, it waits until the server has
		// the request.
		ask := func(c net.Conn, path string) {
			t.Helper()
			if _, err := fmt.Fprintf(c, "GET %s HTTP/1.1\r\nHost: x\r\n\r\n", path); err != nil {
				t.Fatal(err)
			}
			if path == "/" {
				answered(t, c)
			}
			synctest.Wait()
		}
		alive := func(name string, c net.Conn, want bool) {
			t.Helper()
			synctest.Wait()
			err := c.SetReadDeadline(time.Now().Add(time.Millisecond)) // fails on a pipe that was closed
			if err == nil {
				_, err = c.Read(make([]byte, 1))
			}
			if got := errors.Is(err, os.ErrDeadlineExceeded); got != want {
				t.Errorf("%s is open: %v, want %v: %v", name, got, want, err)
			}
			_ = c.SetReadDeadline(time.Time{}) // as above
		}
		first, second, third := listener.dial(), listener.dial(), listener.dial()
		ask(second, "/")
		ask(third, "/")
		ask(first, "/") // now the second has waited longest
		alive("the second, with room for all", second, true)
		fourth := listener.dial()
		alive("the second, with no room", second, false)
		alive("the first", first, true)
		alive("the third", third, true)
		alive("the fourth", fourth, true)

		ask(first, "/slow")
		ask(third, "/slower")
		ask(fourth, "/slower") // and now none waits
		fifth := listener.dial()
		synctest.Wait()
		if _, err := fmt.Fprint(&deadlined{fifth}, "GET / HTTP/1.1\r\n"); err == nil {
			t.Error("a fourth connection is served where three may be open")
		}
		close(release)
		answered(t, first)
		alive("the first, answered and for the fifth", first, false)
		ask(fifth, "/")
		alive("the fifth", fifth, true)

		sixth := listener.dial()
		alive("the fifth, for the sixth", fifth, false)
		ask(sixth, "/slower")
		seventh := listener.dial()
		if err := third.Close(); err != nil { // hangs up while it is being answered
			t.Fatal(err)
		}
		ask(seventh, "/slower")

		eighth := listener.dial()
		synctest.Wait()
		if err := server.Close(); err != nil {
			t.Error(err)
		}
		alive("the eighth, after the close", eighth, false)
	})
}

// A request that never ends does not keep its connection, and neither does a client that does not
// read its answer.
func TestConnectionsThatDoNotMoveOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		listener := make(pipes, 10)
		server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
			if req.URL.Path == "/read" {
				_, _ = io.Copy(io.Discard, req.Body) // ends when the connection does
			}
			w.WriteHeader(http.StatusNoContent)
		})}
		var serving sync.WaitGroup
		// ends with Close
		serving.Go(func() { _ = server.Serve(limitConnections(server, listener, 2, nil, nil)) })
		defer serving.Wait()
		defer server.Close()
		send := func(c net.Conn, text string) {
			t.Helper()
			if _, err := io.WriteString(c, text); err != nil {
				t.Fatal(err)
			}
			synctest.Wait()
		}
		serves := func(path string) {
			t.Helper()
			c := listener.dial()
			defer c.Close()
			send(c, "POST "+path+" HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n{}")
			answered(t, c)
			synctest.Wait()
		}
		for _, path := range []string{"/read", "/leave"} { // whether the handler wants the body or not
			for range 3 {
				c := listener.dial()
				defer c.Close()
				send(c, "POST "+path+" HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n{")
			}
			serves(path)
		}
		start := time.Now()
		for range 2 {
			c := listener.dial()
			defer c.Close()
			send(c, "GET /unheard HTTP/1.1\r\nHost: x\r\n\r\n")
		}
		serves("/read")
		if took := time.Since(start); took > answerTimeout {
			t.Errorf("two who do not listen keep another waiting for %v, want %v at most", took,
				answerTimeout)
		}
	})
}

// deadlined is a connection whose writes time out after a second.
type deadlined struct{ net.Conn }

func (d *deadlined) Write(p []byte) (int, error) {
	_ = d.SetWriteDeadline(time.Now().Add(time.Second)) // a pipe always can
	defer d.SetWriteDeadline(time.Time{})
	return d.Conn.Write(p)
}

// answered reads one answer without a body.
func answered(t *testing.T, c net.Conn) {
	t.Helper()
	var head []byte
	for b := make([]byte, 1); !bytes.HasSuffix(head, []byte("\r\n\r\n")); head = append(head, b[0]) {
		if _, err := c.Read(b); err != nil {
			t.Fatalf("no answer: %v", err)
		}
	}
	if !bytes.HasPrefix(head, []byte("HTTP/1.1 204")) {
		t.Errorf("answered with %q", head)
	}
}
