package webhook

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"testing/iotest"
	"testing/synctest"
	"time"

	"github.com/guance-relay/guance-relay/guance"
)

func newReceiver(t testing.TB, c Config) *Receiver {
	t.Helper()
	r, err := New(c)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func post(body string) *http.Request {
	return httptest.NewRequest(http.MethodPost, "/guance", strings.NewReader(body))
}

// receive receives one webhook and releases it.
func receive(r *Receiver, w http.ResponseWriter, req *http.Request) (string, *Refusal) {
	body, refusal := r.Receive(w, req)
	if refusal != nil {
		return "", refusal
	}
	defer body.Release()
	return string(body.Bytes()), nil
}

// A caller reads the body and answers a refusal. It releases the body before it answers.
func Example() {
	receiver, err := New(Config{Tokens: []string{"secret"}})
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, token := range []string{"secret", "guess"} {
		req := post(`{"df_title":"the disk is full"}`)
		req.Header.Set("X-Relay-Token", token)
		body, refusal := receiver.Receive(httptest.NewRecorder(), req)
		if refusal != nil {
			fmt.Println(refusal.Code, refusal.Message)
			continue
		}
		fmt.Printf("%s\n", body.Bytes())
		body.Release()
	}
	// Output:
	// {"df_title":"the disk is full"}
	// 401 no valid secret: send a token as Authorization: Bearer, as X-Relay-Token or as ?token=
}

func TestNewRefuses(t *testing.T) {
	source := func() []string { return nil }
	all := prefixes("::/0")
	invalid := append(prefixes("10.0.0.0/8", "10.0.0.0/16"), netip.Prefix{})
	tests := map[string]struct {
		config Config
		says   string
	}{
		"nobody":                  {Config{}, "nothing says who"},
		"proxies alone":           {Config{TrustedProxies: prefixes("10.0.0.0/8")}, "nothing says who"},
		"an empty token":          {Config{Tokens: []string{"sesame", ""}}, "token 2 of 2 is empty"},
		"a blank token":           {Config{Tokens: []string{" "}}, "empty"},
		"no password":             {Config{Basic: []string{"sesame"}}, "user:password"},
		"an empty password":       {Config{Basic: []string{"sesame:"}}, "user:password"},
		"an empty user":           {Config{Basic: []string{":sesame"}}, "user:password"},
		"no secret and one":       {Config{NoAuth: true, Tokens: []string{"sesame"}}, "NoAuth"},
		"no secret and a source":  {Config{NoAuth: true, TokenSource: source}, "NoAuth"},
		"a header with a space":   {Config{NoAuth: true, Header: "X Token"}, "X Token"},
		"a header with a newline": {Config{NoAuth: true, Header: "X\nToken"}, "header"},
		"everybody":               {Config{Allow: prefixes("0.0.0.0/0")}, "every address"},
		"everybody, mapped":       {Config{Allow: prefixes("::ffff:0.0.0.0/96")}, "every address"},
		"every proxy":             {Config{NoAuth: true, TrustedProxies: all}, "every address"},
		"no network":              {Config{Allow: invalid}, "network 3 of Allow"},
		"a negative size":         {Config{NoAuth: true, MaxBytes: -1}, "MaxBytes"},
		"a size beyond Decode":    {Config{NoAuth: true, MaxBytes: guance.MaxBodySize + 1}, "MaxBytes"},
		"less memory than a body": {Config{NoAuth: true, MaxHeldBytes: 1000}, "MaxHeldBytes"},
		"negative memory":         {Config{NoAuth: true, MaxHeldBytes: -1}, "MaxHeldBytes"},
		"a negative timeout":      {Config{NoAuth: true, ReadTimeout: -1}, "ReadTimeout"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			_, err := New(test.config)
			if err == nil || !strings.Contains(err.Error(), test.says) ||
				strings.Contains(err.Error(), "sesame") {
				t.Errorf("New says %v, want an error with %q and no secret", err, test.says)
			}
		})
	}
}

func TestMethod(t *testing.T) {
	r := newReceiver(t, Config{NoAuth: true})
	for _, method := range []string{"GET", "HEAD", "PUT", "OPTIONS", "post"} {
		w := httptest.NewRecorder()
		_, refusal := receive(r, w, httptest.NewRequest(method, "/", http.NoBody))
		if refusal == nil || refusal.Code != 405 || w.Result().Header.Get("Allow") != "POST" {
			t.Errorf("%s: %v with Allow %q", method, refusal, w.Result().Header.Get("Allow"))
		}
	}
}

// A panic while the body is read, as of http.ErrAbortHandler in a wrapped body, frees the memory.
func TestPanicFreesMemory(t *testing.T) {
	r := newReceiver(t, Config{NoAuth: true})
	req := post("")
	req.ContentLength = -1
	req.Body = io.NopCloser(io.MultiReader(strings.NewReader("text"), panicking{}))
	func() {
		defer func() {
			if recover() == nil {
				t.Error("no panic")
			}
		}()
		_, _ = r.Receive(httptest.NewRecorder(), req)
	}()
	if r.memory.used != 0 {
		t.Errorf("%d bytes are reserved after a panic, want 0", r.memory.used)
	}
}

type panicking struct{}

func (panicking) Read([]byte) (int, error) { panic(http.ErrAbortHandler) }

// A body that breaks off is refused and frees its memory.
func TestBrokenBody(t *testing.T) {
	req := post("")
	broken := io.MultiReader(strings.NewReader("text"), iotest.ErrReader(io.ErrUnexpectedEOF))
	req.ContentLength, req.Body = -1, io.NopCloser(broken)
	r := newReceiver(t, Config{NoAuth: true})
	text, refusal := receive(r, httptest.NewRecorder(), req)
	if refusal == nil || refusal.Code != http.StatusBadRequest || r.memory.used != 0 {
		t.Errorf("got %q, %v and %d bytes reserved, want 400", text, refusal, r.memory.used)
	}
}

// pipes is a listener in memory, so that connections and their deadlines use the bubble's time.
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

// handler answers as relay.Handler does: after work, and after the release of the body.
func handler(r *Receiver, work func(*http.Request)) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		body, refusal := r.Receive(w, req)
		if refusal != nil {
			w.WriteHeader(refusal.Code)
			return
		}
		work(req)
		body.Release()
		w.WriteHeader(http.StatusAccepted)
	})
}

// The server has no timeouts of its own. A slow body ends all the same, also that of a stranger.
// The work after it may take longer than a body may.
func TestSlowBodies(t *testing.T) {
	const text = "the beginning of a body"
	tests := map[string]struct {
		token string
		rest  int // bytes of the body that come one each second
		work  time.Duration
		code  int
		after time.Duration
	}{
		"quick":                {"right", 0, 0, 202, 0},
		"slow and in time":     {"right", 9, 0, 202, 9 * time.Second},
		"too slow":             {"right", 60, 0, 408, 10 * time.Second},
		"a stranger, and slow": {"wrong", 60, 0, 401, 10 * time.Second},
		"work that is slower":  {"right", 2, 15 * time.Second, 202, 17 * time.Second},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				listener := newPipes()
				r := newReceiver(t, Config{Tokens: []string{"right"}, ReadTimeout: 10 * time.Second})
				server := &http.Server{Handler: handler(r, func(req *http.Request) {
					time.Sleep(test.work)
					if err := req.Context().Err(); err != nil {
						t.Errorf("the request is cancelled after its body: %v", err)
					}
				})}
				go func() { _ = server.Serve(listener) }() // ends with Close
				defer server.Close()
				conn := listener.dial()
				var sending sync.WaitGroup
				defer sending.Wait()
				defer conn.Close()
				start := time.Now()
				sending.Go(func() { // a write fails once the server has closed the connection
					_, err := fmt.Fprintf(conn, "POST / HTTP/1.1\r\nHost: x\r\nX-Relay-Token: %s\r\n"+
						"Content-Length: %d\r\n\r\n%s", test.token, len(text)+test.rest, text)
					for i := 0; i < test.rest && err == nil; i++ {
						time.Sleep(time.Second)
						_, err = conn.Write([]byte(" "))
					}
				})
				answers := bufio.NewReader(conn)
				resp, err := http.ReadResponse(answers, nil)
				if err != nil {
					t.Fatal(err)
				}
				if resp.StatusCode != test.code || time.Since(start) != test.after {
					t.Errorf("got %d after %v, want %d after %v",
						resp.StatusCode, time.Since(start), test.code, test.after)
				}
				if resp.Body.Close() != nil || test.code != http.StatusAccepted {
					return
				}
				// The deadline of one body does not end the next request of the connection.
				time.Sleep(time.Hour)
				sending.Go(func() {
					_, _ = fmt.Fprint(conn, "GET / HTTP/1.1\r\nHost: x\r\n\r\n")
				})
				if resp, err = http.ReadResponse(answers, nil); err != nil {
					t.Fatal(err)
				}
				if resp.StatusCode != http.StatusMethodNotAllowed || resp.Body.Close() != nil {
					t.Errorf("the next request of the connection: %d, want 405", resp.StatusCode)
				}
			})
		})
	}
}
