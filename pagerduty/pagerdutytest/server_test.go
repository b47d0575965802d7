package pagerdutytest_test

import (
	"bufio"
	"context"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/guance-relay/guance-relay/pagerduty/pagerdutytest"
)

// Close ends requests that hang, and returns when no request is being handled.
func TestCloseEndsWhatHangs(t *testing.T) {
	before := runtime.NumGoroutine()
	server := pagerdutytest.NewServer()
	server.Script(fault{Connection: pagerdutytest.Hang, Ingest: true})
	rt := &http.Transport{}
	ended := make(chan error, 1)
	go func() {
		_, err := try(t, rt, server.URL+"/v2/enqueue", trigger(key1, "a").String())
		ended <- err
	}()
	if err := server.WaitOpen(t.Context(), "a"); err != nil {
		t.Fatal(err)
	}
	server.Close()
	if err := <-ended; err == nil {
		t.Error("answered")
	}
	rt.CloseIdleConnections()
	for runtime.NumGoroutine() > before { // the others are ending
		runtime.Gosched()
	}
}

// While nobody reads a body, net/http does not notice that its connection is closed. Close must end
// delayed requests itself.
func TestCloseEndsWhatIsDelayed(t *testing.T) {
	server := pagerdutytest.NewServer()
	server.Script(fault{Connection: pagerdutytest.DropBeforeRead, Delay: 24 * time.Hour})
	rt := &http.Transport{}
	defer rt.CloseIdleConnections()
	ended := make(chan error, 1)
	go func() {
		_, err := try(t, rt, server.URL+"/v2/enqueue", trigger(key1, "a").String())
		ended <- err
	}()
	if err := server.WaitRequests(t.Context(), 1); err != nil {
		t.Fatal(err)
	}
	server.Close()
	if err := <-ended; err == nil {
		t.Error("answered")
	}
}

func TestURLIsLoopback(t *testing.T) {
	server := pagerdutytest.NewServer()
	defer server.Close()
	u, err := url.Parse(server.URL)
	if err != nil || u.Scheme != "http" || u.Path != "" || !net.ParseIP(u.Hostname()).IsLoopback() {
		t.Errorf("URL %q, %v", server.URL, err)
	}
}

// A status below 200 is not a final answer, and over a network nothing follows it.
func TestStatusBelow200(t *testing.T) {
	server := pagerdutytest.NewServer()
	defer server.Close()
	for _, status := range []int{100, 102, 103} {
		server.Script(fault{Status: status})
		conn, err := net.Dial("tcp", strings.TrimPrefix(server.URL, "http://"))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(conn,
			"POST /v2/enqueue HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n{}"); err != nil {
			t.Fatal(err)
		}
		lines := bufio.NewScanner(conn)
		var heads int
		for lines.Scan() {
			if strings.HasPrefix(lines.Text(), "HTTP/1.1 ") {
				heads++
				if code := strings.Fields(lines.Text())[1]; code[0] != '1' {
					t.Errorf("%d was followed by %s", status, code)
				}
			}
		}
		if heads == 0 && lines.Err() == nil {
			t.Errorf("%d: neither a head nor a reset", status)
		}
		_ = conn.Close()
	}
	fake := pagerdutytest.NewTransport()
	fake.Script(fault{Status: 102})
	if got := post(t, fake, alertURL, "{}"); got.status != 102 {
		t.Errorf("%d, want 102 from a Transport", got.status)
	}
}

// A client that goes away while it sends is logged, and takes no fault from the script.
func TestClientThatGoesAway(t *testing.T) {
	server := pagerdutytest.NewServer()
	defer server.Close()
	server.Script(fault{Status: 503})
	conn, err := net.Dial("tcp", strings.TrimPrefix(server.URL, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	_, err = io.WriteString(conn,
		"POST /v2/enqueue HTTP/1.1\r\nHost: x\r\nContent-Length: 500\r\n\r\n"+`{"routing_key":"`+key1+`"`)
	if err != nil {
		t.Fatal(err)
	}
	_ = conn.Close()
	if err := server.WaitRequests(t.Context(), 1); err != nil {
		t.Fatal(err)
	}
	if r := server.Requests()[0]; r.Status != 0 || strings.Contains(string(r.Body), key1) {
		t.Errorf("logged %+v", r)
	}
	rt := &http.Transport{}
	defer rt.CloseIdleConnections()
	if got := post(t, rt, server.URL+"/v2/enqueue", trigger(key1, "a").String()); got.status != 503 {
		t.Errorf("%d: the broken request took the fault", got.status)
	}
}

// A Fake in another server, also over HTTP/2.
func TestMounted(t *testing.T) {
	fake := pagerdutytest.New()
	server := httptest.NewUnstartedServer(fake)
	server.EnableHTTP2 = true
	server.StartTLS()
	defer server.Close()
	rt := server.Client().Transport
	send(t, at(rt, server.URL), trigger(key1, "a"))
	for _, c := range []pagerdutytest.Connection{pagerdutytest.DropBeforeRead,
		pagerdutytest.DropAfterRead, pagerdutytest.CutAnswer} {
		fake.Script(fault{Connection: c})
		if got, err := try(t, rt, server.URL+"/v2/enqueue", trigger(key1, "b").String()); err == nil {
			t.Errorf("%d: answered %d", c, got.status)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	fake.Script(fault{Connection: pagerdutytest.Hang})
	go func() {
		if err := fake.WaitRequests(t.Context(), 5); err != nil {
			t.Error(err)
		}
		cancel()
	}()
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, server.URL+"/v2/enqueue",
		strings.NewReader("{}"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := do(rt, r); err == nil {
		t.Error("answered")
	}
}
