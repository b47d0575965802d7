package relay_test

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"runtime"
	"strings"
	"sync"
	"testing"
	"testing/iotest"
	"testing/synctest"
	"time"

	"github.com/guance-relay/guance-relay/relay"
)

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

func TestContentEncoding(t *testing.T) {
	half := len(fault) / 2
	zipped := zip(t, fault)
	bad := []byte(zipped)
	bad[len(bad)-8] ^= 1 // the checksum
	tests := map[string]struct {
		coding []string
		body   string
		code   int
	}{
		"none":                  {nil, fault, 202},
		"identity":              {[]string{"identity"}, fault, 202},
		"gzip":                  {[]string{"gzip"}, zipped, 202},
		"x-gzip":                {[]string{"X-GZIP"}, zipped, 202},
		"gzip, identity":        {[]string{" gzip ,identity,"}, zipped, 202},
		"two headers":           {[]string{"identity", "gzip"}, zipped, 202},
		"several members":       {[]string{"gzip"}, zip(t, fault[:half], fault[half:]), 202},
		"cut short":             {[]string{"gzip"}, zipped[:len(zipped)-1], 400},
		"cut in the header":     {[]string{"gzip"}, zipped[:5], 400},
		"cut in the 2nd member": {[]string{"gzip"}, zip(t, fault, "   ")[:len(zipped)+12], 400},
		"a wrong checksum":      {[]string{"gzip"}, string(bad), 400},
		"more after the end":    {[]string{"gzip"}, zipped + "more", 400},
		"nothing":               {[]string{"gzip"}, "", 400},
		"not gzip":              {[]string{"gzip"}, fault, 400},
		"gzip, not said so":     {nil, zipped, 400},
		"gzip of no JSON":       {[]string{"gzip"}, zip(t, fault[:half]), 400},
		"gzip twice":            {[]string{"gzip", "gzip"}, zip(t, zipped), 415},
		"deflate":               {[]string{"deflate"}, zipped, 415},
		"br":                    {[]string{"br"}, zipped, 415},
		"deflate, gzip":         {[]string{"deflate, gzip"}, zipped, 415},
		"as large as can be":    {[]string{"gzip"}, zip(t, fault+strings.Repeat(" ", 1<<20-len(fault))), 202},
		"larger unzipped":       {[]string{"gzip"}, zip(t, fault+strings.Repeat(" ", 1<<20-len(fault)+1)), 413},
		"larger on the wire":    {[]string{"gzip"}, zipped + strings.Repeat(zip(t, ""), 1<<20/len(zip(t, ""))), 413},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			store := newGateway()
			h := webhook(t, store, open, nolog)
			for _, length := range []string{"known", "chunked"} {
				kept := store.count()
				req := webhookOf(test.body)
				req.Header["Content-Encoding"] = test.coding
				if length == "chunked" {
					req.ContentLength = -1
				}
				got := ask(t, h, req)
				if got.Code != test.code {
					t.Errorf("%s length: got %d %q, want %d", length, got.Code, got.Message, test.code)
				}
				if (got.Header.Get("Accept-Encoding") == "gzip") != (test.code == http.StatusUnsupportedMediaType) {
					t.Errorf("%d with Accept-Encoding %q", got.Code, got.Header.Get("Accept-Encoding"))
				}
				if test.code != http.StatusAccepted && store.count() != kept {
					t.Error("something was kept of a body that was refused")
				}
			}
		})
	}
}

// A bomb is given up at the limit, and not when it has been unpacked.
func TestBomb(t *testing.T) {
	bomb := strings.Repeat(zip(t, strings.Repeat(" ", 1<<20)), 900) // nearly 1 MiB on the wire, 900 MiB unpacked
	h := webhook(t, newGateway(), open, nolog)
	req := webhookOf(bomb)
	req.Header.Set("Content-Encoding", "gzip")
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	got := ask(t, h, req)
	runtime.ReadMemStats(&after)
	if got.Code != http.StatusRequestEntityTooLarge {
		t.Errorf("got %d, want 413", got.Code)
	}
	if spent := after.TotalAlloc - before.TotalAlloc; spent > 8<<20 { // a slice that grows to 1 MiB, and what it was before
		t.Errorf("%d bytes allocated for a bomb, want some few MiB", spent)
	}
}

// stalled is a body whose rest comes when the test says so.
type stalled struct {
	io.Reader
	arrived chan<- struct{}
	rest    <-chan struct{}
}

func (s *stalled) Read(p []byte) (int, error) {
	n, err := s.Reader.Read(p)
	if err == io.EOF {
		s.arrived <- struct{}{}
		<-s.rest
	}
	return n, err
}

// All bodies together get no more memory than they may, and it is free again when they are gone, however they went.
func TestRoom(t *testing.T) {
	h := webhook(t, newGateway(), &relay.HandlerOptions{NoAuth: true, MaxBytes: 64 << 10, MaxHeldBytes: 256 << 10}, nolog)
	for _, ending := range []string{"", "{"} { // the second time with bodies that are refused: what is not given back shows
		arrived, rest, done := make(chan struct{}), make(chan struct{}), make(chan int, 4)
		slow := func() {
			go func() {
				req := webhookOf("")
				req.ContentLength, req.Body = -1, io.NopCloser(&stalled{strings.NewReader(strings.Repeat(" ", 60<<10) + fault + ending), arrived, rest})
				done <- ask(t, h, req).Code
			}()
			select {
			case <-arrived:
			case code := <-done:
				t.Fatalf("there is no room for a slow body: %d", code)
			}
		}
		for range 3 {
			slow()
		}
		if got := ask(t, h, webhookOf(fault)); got.Code != http.StatusAccepted {
			t.Errorf("an ordinary webhook beside slow ones: %d, want 202", got.Code)
		}
		// Small on the wire and large when decoded.
		if got := ask(t, h, webhookOf("["+strings.Repeat("{},", 99)+"{}]")); got.Code != http.StatusServiceUnavailable || got.Reason != "busy" || got.Header.Get("Retry-After") == "" {
			t.Errorf("a hundred events: %d %q, want 503 busy with Retry-After", got.Code, got.Reason)
		}
		slow()
		if got := ask(t, h, webhookOf(strings.Repeat(" ", 32<<10)+fault)); got.Code != http.StatusServiceUnavailable || got.Reason != "busy" {
			t.Errorf("a body too many: %d %q, want 503 busy", got.Code, got.Reason)
		}
		close(rest)
		want := map[string]int{"": http.StatusAccepted, "{": http.StatusBadRequest}[ending]
		for range 4 {
			if code := <-done; code != want {
				t.Errorf("a slow one: %d, want %d", code, want)
			}
		}
	}
}

// Slow bodies that have taken all the memory there is do not keep out a quick one: the first of them gives way, and the others go on.
func TestSlowBodiesGiveWay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		listener := newPipes()
		h := webhook(t, newGateway(), &relay.HandlerOptions{NoAuth: true, MaxBytes: 64 << 10, MaxHeldBytes: 256 << 10}, nolog)
		server := &http.Server{Handler: h}
		var serving sync.WaitGroup
		serving.Go(func() { _ = server.Serve(listener) }) // ends with Close
		defer serving.Wait()
		defer server.Close()
		send := func(c net.Conn, text string) {
			t.Helper()
			if _, err := io.WriteString(c, text); err != nil {
				t.Fatal(err)
			}
			synctest.Wait()
		}
		answered := func(name string, c net.Conn, code int) {
			t.Helper()
			resp, err := http.ReadResponse(bufio.NewReader(c), nil)
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			if got := read(t, resp); got.Code != code {
				t.Errorf("%s: %d %s, want %d", name, got.Code, got.Message, code)
			}
			synctest.Wait()
		}
		quick := listener.dial()
		defer quick.Close()
		quickly := func() {
			t.Helper()
			send(quick, fmt.Sprintf("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n%s", 32<<10+len(fault), strings.Repeat(" ", 32<<10)+fault))
			answered("a quick body", quick, http.StatusAccepted)
		}
		quickly() // it arrived before the others, and has no place among them any more
		var slow [4]net.Conn
		for i := range slow {
			slow[i] = listener.dial()
			send(slow[i], fmt.Sprintf("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n%s", 62<<10, strings.Repeat(" ", 60<<10)))
		}
		for range 2 { // and what gave way is counted once
			quickly()
		}
		answered("the first slow body", slow[0], http.StatusServiceUnavailable)
		for i := 1; i < len(slow); i++ {
			send(slow[i], strings.Repeat(" ", 2<<10-len(fault))+fault)
			answered(fmt.Sprint("slow body ", i), slow[i], http.StatusAccepted)
		}
		for _, c := range slow {
			_ = c.Close() // the server may have closed it
		}
	})
}

// A body that says that it is too large is not even read, so that it need not be sent (Expect: 100-continue).
func TestTooLargeByItsOwnWord(t *testing.T) {
	req := webhookOf("")
	req.ContentLength, req.Body = 1<<20+1, io.NopCloser(iotest.ErrReader(errors.New("it was read")))
	if got := ask(t, webhook(t, newGateway(), open, nolog), req); got.Code != http.StatusRequestEntityTooLarge {
		t.Errorf("got %d, want 413", got.Code)
	}
}

// A body that breaks off is the sender's fault, and none of it is kept.
func TestBrokenBody(t *testing.T) {
	store := newGateway()
	req := webhookOf("")
	req.ContentLength, req.Body = -1, io.NopCloser(io.MultiReader(strings.NewReader(fault), iotest.ErrReader(io.ErrUnexpectedEOF)))
	if got := ask(t, webhook(t, store, open, nolog), req); got.Code != http.StatusBadRequest || store.count() != 0 {
		t.Errorf("got %d and %d entries, want 400 and none", got.Code, store.count())
	}
}

// pipes is a listener in memory, so that connections and their deadlines live in the bubble's time.
type pipes struct {
	conns  chan net.Conn
	closed chan struct{}
}

func newPipes() *pipes { return &pipes{make(chan net.Conn), make(chan struct{})} }

func (p *pipes) dial() net.Conn {
	client, server := net.Pipe()
	p.conns <- server
	return client
}

func (p *pipes) Accept() (net.Conn, error) {
	select {
	case c := <-p.conns:
		return c, nil
	case <-p.closed:
		return nil, net.ErrClosed
	}
}

func (p *pipes) Close() error   { close(p.closed); return nil }
func (p *pipes) Addr() net.Addr { return &net.TCPAddr{} }

// The handler is mounted on a server with no timeouts of its own: a slow body ends all the same, that of a stranger too, and a commit
// may take longer than a body.
func TestSlowBodies(t *testing.T) {
	tests := map[string]struct {
		token  string
		rest   int // bytes of the body that come one each second
		commit time.Duration
		code   int
		after  time.Duration
	}{
		"quick":                   {"right", 0, 0, 202, 0},
		"slow and in time":        {"right", 9, 0, 202, 9 * time.Second},
		"too slow":                {"right", 60, 0, 408, 10 * time.Second},
		"a stranger, and slow":    {"wrong", 60, 0, 401, 10 * time.Second},
		"a commit that is slower": {"right", 2, 15 * time.Second, 202, 17 * time.Second},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				store := newGateway()
				store.before = func(ctx context.Context) error { time.Sleep(test.commit); return ctx.Err() }
				listener := newPipes()
				h := webhook(t, store, &relay.HandlerOptions{Tokens: []string{"right"}, ReadTimeout: 10 * time.Second}, nolog)
				server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
					h.ServeHTTP(w, req)
					if err := req.Context().Err(); err != nil && test.code == http.StatusAccepted {
						t.Errorf("to those around the handler the client seems gone: %v", err)
					}
				})}
				go func() { _ = server.Serve(listener) }() // ends with Close
				defer server.Close()
				conn := listener.dial()
				var sending sync.WaitGroup
				defer sending.Wait()
				defer conn.Close()
				start := time.Now()
				sending.Go(func() { // a write fails once the server has closed, which is looked at below
					_, err := fmt.Fprintf(conn, "POST / HTTP/1.1\r\nHost: x\r\nX-Relay-Token: %s\r\nContent-Length: %d\r\n\r\n%s", test.token, len(fault)+test.rest, fault)
					for i := 0; i < test.rest && err == nil; i++ {
						time.Sleep(time.Second)
						_, err = conn.Write([]byte(" "))
					}
				})
				replies := bufio.NewReader(conn)
				resp, err := http.ReadResponse(replies, nil)
				if err != nil {
					t.Fatal(err)
				}
				if got := read(t, resp); got.Code != test.code || time.Since(start) != test.after {
					t.Errorf("got %d after %v, want %d after %v", got.Code, time.Since(start), test.code, test.after)
				}
				if accepted := test.code == http.StatusAccepted; (store.count() > 0) != accepted {
					t.Errorf("%d entries kept after %d", store.count(), test.code)
				} else if !accepted {
					return
				}
				// The deadline of one body is not that of the next request on the connection.
				time.Sleep(time.Hour)
				sending.Go(func() {
					_, _ = fmt.Fprint(conn, "GET / HTTP/1.1\r\nHost: x\r\n\r\n") // if it fails, no answer comes
				})
				if resp, err = http.ReadResponse(replies, nil); err != nil {
					t.Fatal(err)
				}
				if got := read(t, resp); got.Code != http.StatusMethodNotAllowed {
					t.Errorf("the next request on the connection: %d, want 405", got.Code)
				}
			})
		})
	}
}
