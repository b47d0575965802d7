package pagerduty_test

import (
	"errors"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"os"
	"strings"
	"testing"
	"testing/iotest"
	"testing/synctest"
	"time"

	"github.com/guance-relay/guance-relay/pagerduty"
	"github.com/guance-relay/guance-relay/pagerduty/pagerdutytest"
)

const secret = "e93facc04764012d7bfb002500d5d1a6"

func routingKey(t testing.TB, s string) pagerduty.RoutingKey {
	t.Helper()
	key, err := pagerduty.ParseRoutingKey(s)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func newClient(t testing.TB, opts *pagerduty.Options) *pagerduty.Client {
	t.Helper()
	client, err := pagerduty.NewClient(routingKey(t, secret), opts)
	if err != nil {
		t.Fatal(err)
	}
	return client
}

// trigger returns an event that needs no repair.
func trigger(dedupKey string) *pagerduty.Event {
	return &pagerduty.Event{
		Action:   pagerduty.ActionTrigger,
		DedupKey: dedupKey,
		Summary:  "disk full on db-1",
		Source:   "db-1",
		Severity: pagerduty.SeverityCritical,
	}
}

func resolve(dedupKey string) *pagerduty.Event {
	return &pagerduty.Event{Action: pagerduty.ActionResolve, DedupKey: dedupKey}
}

func TestSendOpensAndResolvesAnIncident(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fake := pagerdutytest.NewTransport()
		client := newClient(t, &pagerduty.Options{Transport: fake})
		result, err := client.Send(t.Context(), trigger("disk-1"))
		if err != nil {
			t.Fatal(err)
		}
		if !result.Confirmed || result.DedupKey != "disk-1" || result.Attempts != 1 ||
			len(result.Repairs) != 0 {
			t.Errorf("result = %+v", result)
		}
		if open := fake.Open(); len(open) != 1 || open[0].Summary != "disk full on db-1" {
			t.Errorf("open = %+v", open)
		}
		if _, err := client.Send(t.Context(), resolve("disk-1")); err != nil {
			t.Fatal(err)
		}
		if open := fake.Open(); len(open) != 0 {
			t.Errorf("after the resolve, open = %+v", open)
		}
	})
}

func TestSendOverLoopback(t *testing.T) {
	server := pagerdutytest.NewServer()
	defer server.Close()
	client := newClient(t, &pagerduty.Options{BaseURL: server.URL})
	if _, err := client.Send(t.Context(), trigger("disk-1")); err != nil {
		t.Fatal(err)
	}
	request := server.Requests()[0]
	if strings.Contains(string(request.Body), secret) ||
		!strings.Contains(string(request.Body), pagerdutytest.KeyLabel(secret)) {
		t.Errorf("logged body = %s", request.Body)
	}
}

func TestBaseURL(t *testing.T) {
	sound := []string{
		"https://events.eu.pagerduty.com", "https://gateway.example.com:8443/pagerduty/",
		"http://127.0.0.1:8080", "http://localhost", "http://[::1]:80",
	}
	for _, base := range sound {
		if _, err := pagerduty.NewClient(routingKey(t, secret),
			&pagerduty.Options{BaseURL: base}); err != nil {
			t.Errorf("BaseURL %q: %v", base, err)
		}
	}
	unsound := []string{
		"http://events.pagerduty.com", "http://10.0.0.1", "http://localhost.example.com",
		"ftp://example.com", "events.pagerduty.com",
		"https://", "https://user:hunter2@example.com", "https://example.com?a=b",
		"https://example.com#f", "://",
	}
	for _, base := range unsound {
		_, err := pagerduty.NewClient(routingKey(t, secret), &pagerduty.Options{BaseURL: base})
		if err == nil || strings.Contains(err.Error(), "hunter2") ||
			!strings.Contains(err.Error(), "BaseURL") {
			t.Errorf("BaseURL %q: %v", base, err)
		}
	}
	for _, opts := range []pagerduty.Options{{Region: "mars"}, {DefaultSeverity: "awful"}} {
		if _, err := pagerduty.NewClient(routingKey(t, secret), &opts); err == nil {
			t.Errorf("%+v is taken", opts)
		}
	}
}

// People copy the whole Integration URL that PagerDuty shows, and the pagerduty_url of
// Alertmanager.
func TestReport12BaseURLWithThePathOfTheAPI(t *testing.T) {
	for base, want := range map[string]string{
		"https://events.pagerduty.com/v2/enqueue":           "https://events.pagerduty.com",
		"https://events.pagerduty.com/v2/enqueue/":          "https://events.pagerduty.com",
		"https://events.eu.pagerduty.com/v2/change/enqueue": "https://events.eu.pagerduty.com",
		"https://EVENTS.pagerduty.com/v2/":                  "https://EVENTS.pagerduty.com",
		"https://gateway.example.com/pd/v2/enqueue//":       "https://gateway.example.com/pd",
		"http://127.0.0.1:8080/v2/change/enqueue/":          "http://127.0.0.1:8080",
		"https://gateway.example.com/v2/enqueue/pd":         "https://gateway.example.com/v2/enqueue/pd",
		"https://events.pagerduty.com/":                     "https://events.pagerduty.com",
	} {
		var asked []string
		client := newClient(t,
			&pagerduty.Options{BaseURL: base,
				Transport: roundTripper(func(r *http.Request) (*http.Response, error) {
					asked = append(asked, r.URL.String())
					return &http.Response{StatusCode: 202, Header: http.Header{},
						Body: io.NopCloser(strings.NewReader(accepted))}, nil
				})})
		_, alertErr := client.Send(t.Context(), trigger("a"))
		_, changeErr := client.SendChange(t.Context(), &pagerduty.ChangeEvent{Summary: "s"})
		if err := errors.Join(alertErr, changeErr); err != nil || asked[0] != want+"/v2/enqueue" ||
			asked[1] != want+"/v2/change/enqueue" {
			t.Errorf("BaseURL %q: asked %q, %v", base, asked, err)
		}
	}
	for _, base := range []string{
		"https://events.pagerduty.com/generic/2010-04-15/create_event.json",
		"https://gateway.example.com/generic/2010-04-15",
		"https://events.pagerduty.com/integration/" + secret + "/enqueue",
		"https://events.eu.pagerduty.com/v3/enqueue", "https://api.pagerduty.com/incidents",
	} {
		_, err := pagerduty.NewClient(routingKey(t, secret), &pagerduty.Options{BaseURL: base})
		if err == nil || !strings.Contains(err.Error(), "Options.BaseURL") ||
			strings.Contains(err.Error(), secret) {
			t.Errorf("BaseURL %q: %v", base, err)
		}
	}
}

func TestPathOfBaseURLIsKept(t *testing.T) {
	var path string
	client := newClient(t,
		&pagerduty.Options{BaseURL: "https://gateway.example.com/pd/",
			Transport: roundTripper(func(r *http.Request) (*http.Response, error) {
				path = r.URL.Path
				return &http.Response{StatusCode: 202, Header: http.Header{},
					Body: io.NopCloser(strings.NewReader(accepted))}, nil
			})})
	if _, err := client.Send(t.Context(), trigger("a")); err != nil || path != "/pd/v2/enqueue" {
		t.Errorf("sent to %s: %v", path, err)
	}
}

// The Transport and the Timeout of HTTPClient are used.
func TestLentHTTPClient(t *testing.T) {
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	jar.SetCookies(&url.URL{Scheme: "https", Host: "events.pagerduty.com"},
		[]*http.Cookie{{Name: "a", Value: "b"}})
	synctest.Test(t, func(t *testing.T) {
		fake := pagerdutytest.NewTransport()
		fake.Script(pagerdutytest.Fault{}, pagerdutytest.Fault{Connection: pagerdutytest.Hang})
		client := newClient(t,
			&pagerduty.Options{Retries: -1,
				HTTPClient: &http.Client{Transport: fake, Jar: jar, Timeout: 3 * time.Second}})
		if _, err := client.Send(t.Context(), trigger("a")); err != nil {
			t.Fatal(err)
		}
		if cookie := fake.Requests()[0].Header.Get("Cookie"); cookie != "" {
			t.Errorf("sent the cookie %q", cookie)
		}
		start := time.Now()
		if e := failed(t, client, trigger("a")); !errors.Is(e, os.ErrDeadlineExceeded) ||
			time.Since(start) != 3*time.Second {
			t.Errorf("after %v: %v", time.Since(start), e)
		}
	})
}

// A RoundTripper that changes its request must not change the next one.
func TestRequestsShareNothingWithTheTransport(t *testing.T) {
	var hosts []string
	client := newClient(t,
		&pagerduty.Options{Transport: roundTripper(func(r *http.Request) (*http.Response, error) {
			hosts = append(hosts, r.URL.Host+" "+r.Header.Get("X-Extra"))
			r.URL.Host = "elsewhere.example.com"
			r.Header.Set("X-Extra", "set")
			return &http.Response{StatusCode: 202, Header: http.Header{},
				Body: io.NopCloser(strings.NewReader(accepted))}, nil
		})})
	for range 2 {
		if _, err := client.Send(t.Context(), trigger("a")); err != nil {
			t.Fatal(err)
		}
	}
	if hosts[0] != hosts[1] {
		t.Errorf("sent to %q, then to %q", hosts[0], hosts[1])
	}
}

// closing is a body that counts how often it is closed.
type closing struct {
	io.Reader
	closed int
}

func (c *closing) Close() error { c.closed++; return nil }

// An answer of any status is closed, however far it was read: an open one keeps its connection.
func TestEveryAnswerIsClosed(t *testing.T) {
	for name, test := range map[string]struct {
		status int
		body   io.Reader
	}{
		"accepted":   {202, strings.NewReader(accepted)},
		"refused":    {400, strings.NewReader(`{"status":"invalid event"}`)},
		"a gateway":  {502, strings.NewReader("Bad Gateway")},
		"long":       {502, strings.NewReader(strings.Repeat("a", 1<<20))},
		"broken off": {202, iotest.ErrReader(io.ErrUnexpectedEOF)},
	} {
		t.Run(name, func(t *testing.T) {
			body := &closing{Reader: test.body}
			client := newClient(t, &pagerduty.Options{Retries: -1, Transport: roundTripper(
				func(*http.Request) (*http.Response, error) {
					return &http.Response{StatusCode: test.status, Header: http.Header{}, Body: body}, nil
				})})
			if _, err := client.Send(t.Context(), trigger("a")); (err == nil) != (name == "accepted") {
				t.Errorf("Send: %v", err)
			}
			if body.closed != 1 {
				t.Errorf("the body was closed %d times, want once", body.closed)
			}
		})
	}
}
