package pagerduty

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

// The default of each option, what takes its place, and what a negative value means.
func TestDefaults(t *testing.T) {
	host, err := os.Hostname()
	if err != nil {
		host = "unknown"
	}
	type settings struct {
		Retries, ThrottleRetries, PerMinute int
		Timeout, MaxRetryAfter              time.Duration
		Source                              string
		Severity                            Severity
		Any2xx                              bool
	}
	standard := settings{2, 0, 120, 15 * time.Second, 5 * time.Minute, host, SeverityError, false}
	log := slog.New(slog.DiscardHandler)
	for name, test := range map[string]struct {
		opts *Options
		want func(*settings)
	}{
		"none":  {nil, func(*settings) {}},
		"empty": {&Options{}, func(*settings) {}},
		"given": {&Options{Retries: 5, ThrottleRetries: 4, PerMinute: 7, AttemptTimeout: time.Second,
			MaxRetryAfter: time.Hour, DefaultSource: "a\x00b", DefaultSeverity: "Fatal",
			AcceptAny2xx: true, Logger: log},
			func(s *settings) {
				*s = settings{5, 4, 7, time.Second, time.Hour, "ab", SeverityCritical, true}
			}},
		"negative": {&Options{Retries: -1, ThrottleRetries: -1, PerMinute: -1, AttemptTimeout: -1,
			MaxRetryAfter: -1}, func(s *settings) {
			s.Retries, s.ThrottleRetries, s.PerMinute, s.Timeout, s.MaxRetryAfter = -1, 0, -1, -1, -1
		}},
		"a lent client": {&Options{HTTPClient: &http.Client{Timeout: 7 * time.Second}},
			func(s *settings) { s.Timeout = 7 * time.Second }},
		"a lent client and a timeout": {&Options{HTTPClient: &http.Client{Timeout: time.Second},
			AttemptTimeout: 3 * time.Second}, func(s *settings) { s.Timeout = 3 * time.Second }},
		"a lent client without a timeout": {&Options{HTTPClient: &http.Client{}}, func(*settings) {}},
	} {
		t.Run(name, func(t *testing.T) {
			key, err := ParseRoutingKey(exampleKey)
			if err != nil {
				t.Fatal(err)
			}
			client, err := NewClient(key, test.opts)
			if err != nil {
				t.Fatal(err)
			}
			c := client.core
			want := standard
			test.want(&want)
			got := settings{c.retries, c.throttleRetries, c.perMinute, c.timeout, c.maxRetryAfter,
				c.source, c.severity, c.acceptAny2xx}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("(-want +got)\n%s", diff)
			}
			if test.opts != nil && test.opts.Logger != nil && c.log != test.opts.Logger || c.log == nil {
				t.Error("the logger is not the given one")
			}
			if _, std := c.transport.(*http.Transport); !std || !c.stdTransport {
				t.Errorf("the transport is %T, standard %v", c.transport, c.stdTransport)
			}
		})
	}
}

// A transport of the caller's is used, the option's before that of the lent client.
func TestWhichTransport(t *testing.T) {
	one, two := &http.Transport{}, &http.Transport{}
	for _, test := range []struct {
		opts Options
		want http.RoundTripper
	}{
		{Options{Transport: one}, one}, {Options{HTTPClient: &http.Client{Transport: two}}, two},
		{Options{Transport: one, HTTPClient: &http.Client{Transport: two}}, one},
	} {
		c, err := newCore(&test.opts)
		if err != nil || c.transport != test.want || c.proxy != "" {
			t.Errorf("%+v: %v, proxy %q", test.opts, err, c.proxy)
		}
	}
	c, err := newCore(&Options{Transport: struct{ http.RoundTripper }{one}})
	if err != nil || c.stdTransport {
		t.Errorf("a decorated transport is a standard one: %v, %v", c.stdTransport, err)
	}
}

// An error of an option names it and says what to write.
func TestOptionErrors(t *testing.T) {
	const v2 = "write it as https://"
	for want, opts := range map[string]Options{
		`pagerduty: Options.Region "mars" is not known; use RegionUS, RegionEU or BaseURL`: {
			Region: "mars"},
		"pagerduty: Options.BaseURL is not a URL": {BaseURL: "://"},
		"pagerduty: Options.BaseURL must not hold a user name or password; set a proxy or a Transport " +
			"instead": {BaseURL: "https://u:p@h"},
		"pagerduty: Options.BaseURL has no host; write it as https://host": {BaseURL: "https://"},
		"pagerduty: Options.BaseURL must have neither query nor fragment":  {BaseURL: "https://h?a"},
		"pagerduty: Options.BaseURL is the address of Events API v1, which this " +
			"client does not speak; " + v2 + "h": {BaseURL: "https://h/generic/2010-04-15/x"},
		`pagerduty: Options.BaseURL "http://h" is not https; the routing key must not travel in the ` +
			"clear (http is allowed to the loopback only)": {BaseURL: "http://h"},
		"pagerduty: Options.BaseURL has a path where PagerDuty has no Events API v2; " + v2 +
			"API.PagerDuty.com": {BaseURL: "https://API.PagerDuty.com/x"},
		`pagerduty: Options.DefaultSeverity "awful" is not a severity; use critical, error, warning ` +
			"or info": {DefaultSeverity: "awful"},
	} {
		if _, err := newCore(&opts); err == nil || err.Error() != want {
			t.Errorf("%+v\ngot  %v\nwant %s", opts, err, want)
		}
	}
	for host, want := range map[string]bool{"pagerduty.com": true, "events.PagerDuty.com": true,
		"notpagerduty.com": false, "pagerduty.com.example": false} {
		if got := isPagerDuty(host); got != want {
			t.Errorf("isPagerDuty(%q) = %v", host, got)
		}
	}
	for host, want := range map[string]bool{"localhost": true, "127.0.0.9": true, "::1": true,
		"localhost.": false, "128.0.0.1": false, "": false} {
		if got := isLoopback(host); got != want {
			t.Errorf("isLoopback(%q) = %v", host, got)
		}
	}
	for region, want := range map[string]Region{"US": RegionUS, " eu ": RegionEU} {
		if got, err := ParseRegion(region); got != want || err != nil {
			t.Errorf("ParseRegion(%q) = %q, %v", region, got, err)
		}
	}
	if got, err := ParseRegion("mars"); got != "" || err == nil ||
		err.Error() != `pagerduty: region "mars" is not known; use "us" or "eu"` {
		t.Errorf("ParseRegion of an unknown one: %q, %v", got, err)
	}
}

// A copy of a client shares the connections, and its key and limiter are its own.
func TestCopies(t *testing.T) {
	key, err := ParseRoutingKey(exampleKey)
	if err != nil {
		t.Fatal(err)
	}
	other, err := ParseRoutingKey(strings.Repeat("R", 32))
	if err != nil {
		t.Fatal(err)
	}
	client, err := NewClient(key, nil)
	if err != nil {
		t.Fatal(err)
	}
	limiter := newWindow(5)
	copied := client.WithKey(other).WithLimiter(limiter)
	if client.key != KeySource(key) || client.limiter != nil || copied.key != KeySource(other) ||
		copied.core != client.core || copied.limiterFor(other) != Limiter(limiter) {
		t.Errorf("%+v and %+v", client, copied)
	}
	first := client.limiterFor(key)
	if first != client.WithLimiter(nil).limiterFor(key) || first == client.limiterFor(other) {
		t.Error("a key has one window, and another key another one")
	}
	if got := client.Account(); got != "events.pagerduty.com "+key.Fingerprint() {
		t.Errorf("the account is %q", got)
	}
	if _, err := client.Send(t.Context(), nil); err.Error() !=
		"pagerduty: event is nil; nothing was sent; the event itself must change" {
		t.Error(err)
	}
	_, err = copied.SendChange(t.Context(), &ChangeEvent{Summary: "s"})
	if want := "pagerduty: orchestration and ruleset keys, which begin with R, take no change " +
		"events; nothing was sent; the event itself must change. Hint: use the Integration Key of an " +
		"Events API v2 integration on a service"; err == nil || err.Error() != want {
		t.Errorf("%v, want %s", err, want)
	}
}

// The bounds of the own transport.
func TestTransportSettings(t *testing.T) {
	wire := newTransport()
	want := &http.Transport{
		TLSHandshakeTimeout: 5 * time.Second, IdleConnTimeout: 45 * time.Second,
		MaxIdleConns: 64, MaxIdleConnsPerHost: 32, MaxConnsPerHost: 64,
		MaxResponseHeaderBytes: 64 << 10, ForceAttemptHTTP2: true, DisableCompression: true,
	}
	if diff := cmp.Diff(want, wire, cmpopts.IgnoreUnexported(http.Transport{}),
		cmpopts.IgnoreFields(http.Transport{}, "DialContext", "HTTP2", "TLSClientConfig",
			"OnProxyConnectResponse")); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
	if got := *wire.HTTP2; got.SendPingTimeout != 10*time.Second || got.PingTimeout != 5*time.Second ||
		got.WriteByteTimeout != 5*time.Second {
		t.Errorf("%+v", got)
	}
	for status, want := range map[int]string{200: "", 201: "the proxy p:1 answered 201 Created",
		407: "the proxy p:1 answered 407 Proxy Authentication Required"} {
		err := wire.OnProxyConnectResponse(t.Context(), &url.URL{Host: "p:1"}, nil,
			&http.Response{StatusCode: status})
		if (err == nil) != (want == "") || err != nil && err.Error() != want {
			t.Errorf("CONNECT is answered %d: %v, want %q", status, err, want)
		}
	}
}

// The waits between quick retries double from a quarter of a second to two seconds.
func TestQuickWaits(t *testing.T) {
	most := []time.Duration{250 * time.Millisecond, 500 * time.Millisecond, time.Second,
		2 * time.Second, 2 * time.Second}
	for n, most := range most {
		var least, longest = time.Hour, time.Duration(0)
		for range 500 {
			c := &call{core: &core{retries: 10}, quickRetries: n, dedupKey: "k"}
			c.last.class = ClassTransient
			if ok, err := c.checkRetry(t.Context(), nil, nil); !ok || err != nil || c.quickRetries != n+1 {
				t.Fatalf("retry %d: %v, %v", n, ok, err)
			}
			if c.backoff(0, 0, 0, nil) != c.wait {
				t.Fatal("another wait")
			}
			least, longest = min(least, c.wait), max(longest, c.wait)
		}
		if least < most/2 || longest > most || longest-least < most/4 {
			t.Errorf("wait %d is from %v to %v, want from half of %v on", n, least, longest, most)
		}
	}
	if got := jitter(0); got != 0 {
		t.Errorf("no wait takes %v", got)
	}
}

// Whether there is another attempt, at the bounds.
func TestCheckRetry(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ended, cancel := context.WithCancel(t.Context())
		cancel()
		in := func(d time.Duration) context.Context {
			ctx, cancel := context.WithTimeout(t.Context(), d)
			t.Cleanup(cancel)
			return ctx
		}
		after := func(class Class, delay time.Duration) *call {
			c := &call{core: &core{retries: 1, throttleRetries: 1}, dedupKey: "k"}
			c.last.class, c.last.delay = class, delay
			return c
		}
		changed := func(c *call, change func(*call)) *call {
			change(c)
			return c
		}
		const second = time.Second
		for name, test := range map[string]struct {
			ctx  context.Context
			call *call
			want bool
			wait time.Duration
		}{
			"throttled":    {t.Context(), after(ClassThrottled, 7*second), true, 7 * second},
			"in good time": {in(7*second + 1), after(ClassThrottled, 7*second), true, 7 * second},
			"too late":     {in(7 * second), after(ClassThrottled, 7*second), false, 7 * second},
			"throttled once more": {t.Context(), changed(after(ClassThrottled, 7*second),
				func(c *call) { c.throttleRetries = 1 }), false, 0},
			"transient, and the server asks": {t.Context(), after(ClassTransient, 2*second), true,
				2 * second},
			"for too long": {t.Context(), after(ClassTransient, 2*second+1), false, 2*second + 1},
			"tried enough": {t.Context(), changed(after(ClassTransient, second),
				func(c *call) { c.quickRetries = 1 }), false, 0},
			"ambiguous": {t.Context(), after(ClassAmbiguous, second), true, second},
			"ambiguous without a key": {t.Context(), changed(after(ClassAmbiguous, second),
				func(c *call) { c.dedupKey, c.last.lost = "", true }), false, 0},
			"not lost, without a key": {t.Context(), changed(after(ClassTransient, second),
				func(c *call) { c.dedupKey = "" }), true, second},
			"permanent": {t.Context(), after(ClassPermanent, second), false, 0},
			"config":    {t.Context(), after(ClassConfig, second), false, 0},
			"ended":     {ended, after(ClassTransient, second), false, 0},
			"unsent": {t.Context(), changed(after(ClassTransient, second),
				func(c *call) { c.last.unsent = true }), false, 0},
		} {
			got, err := test.call.checkRetry(test.ctx, nil, nil)
			if got != test.want || err != nil || test.call.wait != test.wait {
				t.Errorf("%s: %v after %v, %v; want %v after %v", name, got, test.call.wait, err,
					test.want, test.wait)
			}
		}
		least, most := time.Hour, time.Duration(0)
		for range 300 {
			w := newWindow(-1)
			c := after(ClassThrottled, 0)
			c.limiter = w
			if ok, _ := c.checkRetry(t.Context(), nil, nil); !ok || time.Until(w.until) != c.wait {
				t.Fatalf("%v, the key pauses for %v, want %v", ok, time.Until(w.until), c.wait)
			}
			least, most = min(least, c.wait), max(most, c.wait)
		}
		if least < 30*second || most >= 45*second || most-least < 5*second {
			t.Errorf("without a wait of the server it is from %v to %v", least, most)
		}
	})
}

// The error of a timeout is os.ErrDeadlineExceeded, and not the caller's.
func TestTimeoutError(t *testing.T) {
	err := &timeoutError{after: 15 * time.Second}
	if err.Error() != "no answer within 15s" || !err.Timeout() || !err.Temporary() ||
		!errors.Is(err, os.ErrDeadlineExceeded) || errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("%v", err)
	}
	err.proxy = "p:1"
	if err.Error() != "no answer within 15s through the proxy p:1" {
		t.Error(err)
	}
}

// Answers that are nearly JSON are taken as far as possible.
func TestLooseAnswers(t *testing.T) {
	hide := func(s string) string { return strings.ReplaceAll(s, "KEY", "[key]") }
	for body, want := range map[string]response{
		`{"status":"a","message":"b","errors":["c"]}`: {Status: "a", Message: "b",
			Errors: []string{"c"}, strict: true, listed: true},
		"\ufeff" + `{"status":"a KEY","message":"b KEY","errors":"c KEY"}`: {Status: "a [key]",
			Message: "b [key]", Errors: []string{"c [key]"}, strict: true, listed: true},
		`{"status":"a","message":"b","errors":{"c":1}}`: {Status: "a", Message: "b",
			Errors: []string{`{"c":1}`}, strict: true},
		`{"status":"a","message":"b","errors":[]}`:   {Status: "a", Message: "b", strict: true},
		`{"status":"a","message":"b","errors":null}`: {Status: "a", Message: "b", strict: true},
		`{"STATUS":"a","Message":"b","ERRORS":[" ",null,5,"c"]}`: {Status: "a", Message: "b",
			Errors: []string{"5", "c"}},
		`{"status":"a","status":"b"}`:          {Status: "b"},
		"{\"message\":\"no \xff\"}":            {Message: "no \ufffd"},
		`{"status":5,"message":"b"}`:           {Message: "b"},
		`{"message":{"a":[1]},"status":"KEY"}`: {Status: "[key]"},
		`{"dedup_key":"k"}`:                    {},
		`{"other":"KEY"}`:                      {quote: `{"other":"[key]"}`},
		` page KEY `:                           {quote: "page [key]"},
		"{\"errors\":[\"no \xff\",\"b\"]}":     {Errors: []string{"no \ufffd", "b"}},
	} {
		got := parseResponse([]byte(body), hide)
		if diff := cmp.Diff(want, got, cmp.AllowUnexported(response{})); diff != "" {
			t.Errorf("%s (-want +got)\n%s", body, diff)
		}
	}
	long := strings.Repeat("KEY", 3000)
	if got := quote([]byte(long), hide); len(got) != maxQuote || !strings.HasSuffix(got, "…") {
		t.Errorf("a quote has %d bytes: %q", len(got), got)
	}
	if maxQuote != 512 || maxResponse != 65536 || maxBody != 512_000 {
		t.Error("the documents name other limits")
	}
}

func TestRetryAfterAtTheBounds(t *testing.T) {
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	at := func(d time.Duration) string { return now.Add(d).Format(http.TimeFormat) }
	for _, test := range []struct {
		first, second string
		limit, want   time.Duration
	}{
		{"59.5", "", time.Minute, 59500 * time.Millisecond}, {"60", "", time.Minute, time.Minute},
		{"61", "", time.Minute, time.Minute}, {"0", "7", time.Minute, 7 * time.Second},
		{"-1", "7", time.Minute, 7 * time.Second}, {"odd", "7", time.Minute, 7 * time.Second},
		{at(0), "7", time.Minute, 7 * time.Second}, {at(time.Second), "7", time.Minute, time.Second},
		{at(time.Hour), "", time.Minute, time.Minute}, {"5", "", -1, 0}, {at(5e9), "", -1, 0},
		{"5", "7", time.Minute, 5 * time.Second}, {"", "", time.Minute, 0},
	} {
		header := http.Header{"Retry-After": {test.first}, "Ratelimit-Reset": {test.second}}
		if got := retryAfter(header, now, test.limit); got != test.want {
			t.Errorf("%+v: %v", test, got)
		}
	}
}

// Proxies of the environment: what is used, and why the rest is not.
func TestParseProxy(t *testing.T) {
	const (
		scheme = "its scheme is none of http, https, socks5 and socks5h"
		port   = "its port is not from 1 to 65535"
	)
	for value, want := range map[string][2]string{
		"p:1": {"http://p:1", ""}, "http://p": {"http://p", ""}, "https://p:65535": {"https://p:65535", ""},
		"socks5://p": {"socks5://p", ""}, "socks5h://p": {"socks5h://p", ""},
		"ftp://p": {"", scheme}, "http://": {"", "it has no host"}, "http://:80": {"", "it has no host"},
		"p:0": {"", port}, "p:65536": {"", port}, "p:": {"", port}, "http://p:x": {"", "it is not a URL"},
	} {
		proxy, reason := parseProxy(value)
		got := [2]string{"", reason}
		if proxy != nil {
			got[0] = proxy.String()
		}
		if got != want {
			t.Errorf("%q: %q, want %q", value, got, want)
		}
	}
}

// What is wrong with a routing key is said without the key.
func TestRoutingKeyErrors(t *testing.T) {
	for given, want := range map[string]string{
		" ":                     "is empty",
		strings.Repeat("k", 20): "has 20 characters: a REST API token, which cannot send events",
		strings.Repeat("é", 16): "holds a character that is neither a letter nor a digit",
		strings.Repeat("k", 31): "has 31 characters, not 32",
		strings.Repeat("k", 33): "has 33 characters, not 32",
	} {
		_, err := ParseRoutingKey(given)
		if want = "pagerduty: routing key " + want + "; " + useIntegrationKey; err == nil ||
			err.Error() != want {
			t.Errorf("%v, want %s", err, want)
		}
	}
	for s, want := range map[string]bool{"09azAZ": true, "": true, "a/": false, "a:": false, "a@": false,
		"a[": false, "a`": false, "a{": false} {
		if got := alphanumeric(s); got != want {
			t.Errorf("alphanumeric(%q) = %v", s, got)
		}
	}
	key, err := ParseRoutingKey(" " + exampleKey + "\n")
	if err != nil {
		t.Fatal(err)
	}
	print := "RoutingKey(" + key.Fingerprint() + ")"
	text, err := key.MarshalText()
	if len(key.Fingerprint()) != 8 || key.String() != print || key.GoString() != print ||
		string(text) != print || err != nil || key.LogValue().String() != print ||
		key.Reveal() != exampleKey || key.Orchestration() || key.IsZero() {
		t.Errorf("%v, %s", key, text)
	}
	var none RoutingKey
	if _, err := none.Key(); !none.IsZero() || none.Reveal() != "" || none.Fingerprint() != "none" ||
		err == nil || err.Error() != "pagerduty: no routing key; make one with ParseRoutingKey" {
		t.Errorf("the zero key: %v, %v", none, err)
	}
	t.Setenv("KEY_OF_A_TEST", "short")
	_, err = RoutingKeyFromEnv("KEY_OF_A_TEST")
	if err == nil || !strings.HasSuffix(err.Error(), " (from environment variable KEY_OF_A_TEST)") {
		t.Error(err)
	}
}

// A debug line has the error of the attempt, and a span one event for it.
func TestLogOfAFailedAttempt(t *testing.T) {
	var log bytes.Buffer
	key, err := ParseRoutingKey(exampleKey)
	if err != nil {
		t.Fatal(err)
	}
	refused := errors.New("refused " + exampleKey)
	client, err := NewClient(key, &Options{Retries: -1, Transport: roundTripperFunc(
		func(*http.Request) (*http.Response, error) { return nil, refused }),
		Logger: slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))})
	if err != nil {
		t.Fatal(err)
	}
	_, err = client.Send(t.Context(), &Event{Action: ActionResolve, DedupKey: "a"})
	if !errors.Is(err, refused) || strings.Contains(err.Error(), exampleKey) {
		t.Errorf("the error is %v", err)
	}
	if got := log.String(); !strings.Contains(got, `error="refused [routing key]"`) ||
		strings.Count(got, "\n") != 1 {
		t.Errorf("logged %q", got)
	}
	var held *cause
	if !errors.As(err, &held) || held.Unwrap() != nil {
		t.Error("what holds the key can be unwrapped")
	}
	if open := causeOf(errors.New("open"), key); errors.Unwrap(open) == nil {
		t.Error("what holds no key cannot be unwrapped")
	}
	empty, err := NewClient(key, &Options{Retries: -1, Transport: roundTripperFunc(
		func(*http.Request) (*http.Response, error) { return nil, nil })})
	if err != nil {
		t.Fatal(err)
	}
	_, err = empty.Send(t.Context(), &Event{Action: ActionResolve, DedupKey: "a"})
	if err == nil || !strings.Contains(err.Error(), "returned neither a response nor an error") {
		t.Error(err)
	}
}

type roundTripperFunc func(*http.Request) (*http.Response, error)

func (f roundTripperFunc) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

func TestLeavesAreSorted(t *testing.T) {
	leaves := appendLeaves(nil, "f", []any{"ab", []any{"c"}, map[string]any{"k": "def"}, 5, nil},
		func(any) {})
	var got []string
	for _, l := range leaves {
		got = append(got, l.text)
		if l.size != len(l.text) || l.field != "f" {
			t.Errorf("%+v", l)
		}
	}
	if want := []string{"ab", "c", "def"}; !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
}
