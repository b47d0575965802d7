package webhooksink_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/guance-relay/guance-relay/guance"
	"github.com/guance-relay/guance-relay/guance/guancetest"
	"github.com/guance-relay/guance-relay/relay"
	"github.com/guance-relay/guance-relay/relay/memstore"
	"github.com/guance-relay/guance-relay/relay/webhooksink"
)

// A request is what a recorder was sent.
type request struct {
	url, host string
	header    http.Header
	body      string
}

// A recorder is a transport that keeps requests and answers each with the status that is next,
// the last one again and again.
type recorder struct {
	mu       sync.Mutex
	statuses []int
	requests []request
}

func (r *recorder) RoundTrip(req *http.Request) (*http.Response, error) {
	return roundTripper(func(req *http.Request, body []byte) (*http.Response, error) {
		r.mu.Lock()
		defer r.mu.Unlock()
		r.requests = append(r.requests, request{req.URL.String(), req.Host, req.Header,
			string(body)})
		status := 204
		if len(r.statuses) > 0 {
			status = r.statuses[0]
			r.statuses = r.statuses[1:]
		}
		return responds(status, "ok")(req, body)
	}).RoundTrip(req)
}

// sendTo returns the one request that a delivery makes.
func sendTo(t *testing.T, url string, opts webhooksink.Options, d *relay.Delivery) request {
	t.Helper()
	target := &recorder{}
	opts.Client = &http.Client{Transport: target}
	err := newSink(t, url, opts).Deliver(context.Background(), d)
	if len(target.requests) != 1 {
		t.Fatalf("%d requests, want 1 (%v)", len(target.requests), err)
	}
	return target.requests[0]
}

func TestPayload(t *testing.T) {
	const raw = `{"timestamp":1700000000,"df_status":"critical","df_title":"a < b & \"c\"",` +
		`"df_event_id":"event-1","df_event_link":"https://console.guance.com/?a=1&b=2",` +
		`"unknown":[1, 2]}`
	accepted := time.Date(2026, 3, 1, 12, 0, 0, 0, time.FixedZone("", 8*3600))
	for name, tc := range map[string]struct {
		body, contentType, want string
	}{
		"an event": {raw, "application/json", `{
			"type": "guance.problem", "timestamp": "2023-11-14T22:13:20Z", "state": "problem",
			"level": "critical", "problem": "key", "link": "https://console.guance.com/?a=1&b=2",
			"data": ` + raw + `}`},
		"a recovery": {`{"df_status":"ok","timestamp":1700000000}`, "application/json", `{
			"type": "guance.recovered", "timestamp": "2023-11-14T22:13:20Z", "state": "recovered",
			"level": "none", "problem": "key", "data": {"df_status":"ok","timestamp":1700000000}}`},
		"without a time": {`{"df_status":"info"}`, "application/json", `{
			"type": "guance.neither", "timestamp": "2026-03-01T04:00:00Z", "state": "neither",
			"level": "info", "problem": "key", "data": {"df_status":"info"}}`},
	} {
		events, err := guance.Decode([]byte(tc.body), tc.contentType)
		if err != nil || len(events) != 1 {
			t.Fatal(events, err)
		}
		d := &relay.Delivery{Event: events[0], Problem: "key", Accepted: accepted}
		sent := sendTo(t, "https://example.com/hook", webhooksink.Options{}, d)
		var got, want any
		if err := json.Unmarshal([]byte(tc.want), &want); err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal([]byte(sent.body), &got); err != nil {
			t.Fatalf("%s: the body is not JSON: %v", name, err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
		if strings.Contains(sent.body, `\u003c`) || strings.Contains(sent.body, `\u0026`) {
			t.Errorf("%s: the body has escapes for HTML: %s", name, sent.body)
		}
	}

	events, err := guance.Decode([]byte("Title\nMessage"), "text/plain")
	if err != nil || len(events) != 1 {
		t.Fatal(events, err)
	}
	sent := sendTo(t, "https://example.com", webhooksink.Options{},
		&relay.Delivery{Event: events[0]})
	if want := `"data":"Title\nMessage"}`; !strings.HasSuffix(sent.body, want) {
		t.Errorf("the body of a text is %s, want %s at its end", sent.body, want)
	}
}

func TestRequest(t *testing.T) {
	for name, tc := range map[string]struct {
		url  string
		opts webhooksink.Options
		want request
	}{
		"defaults": {
			"https://example.com/hook?token=1#top", webhooksink.Options{},
			request{url: "https://example.com/hook?token=1", header: http.Header{
				"Content-Type": {"application/json"}, "User-Agent": {"guance-relay"},
			}},
		},
		"a user in the URL": {
			" https://alice:s%40cret@example.com/hook\n", webhooksink.Options{},
			request{url: "https://example.com/hook", header: http.Header{
				"Content-Type": {"application/json"}, "User-Agent": {"guance-relay"},
				"Authorization": {"Basic YWxpY2U6c0BjcmV0"},
			}},
		},
		"headers": {
			"https://example.com", webhooksink.Options{
				ContentType: "text/plain", Template: "x",
				Headers: http.Header{
					"x-token": {"a", "b"}, "host": {"alerts.example.com"}, "User-Agent": {"me"},
				},
			},
			request{url: "https://example.com", host: "alerts.example.com", header: http.Header{
				"Content-Type": {"text/plain"}, "User-Agent": {"me"}, "X-Token": {"a", "b"},
			}},
		},
		"a format": {
			"https://example.com", webhooksink.Options{Format: webhooksink.Slack()},
			request{url: "https://example.com", header: http.Header{
				"Content-Type": {"application/json; charset=utf-8"}, "User-Agent": {"guance-relay"},
			}},
		},
	} {
		got := sendTo(t, tc.url, tc.opts, delivery())
		for h := range got.header {
			if strings.HasPrefix(h, "Webhook-") {
				if tc.opts.Format != nil {
					t.Errorf("%s: a chat gets %s", name, h)
				}
				delete(got.header, h)
			}
		}
		if got.body == "" {
			t.Errorf("%s: the body is empty", name)
		}
		got.body = ""
		if diff := cmp.Diff(tc.want, got, cmp.AllowUnexported(request{})); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

// What New refuses, in words that have no secret.
func TestNewRefuses(t *testing.T) {
	const url = "https://example.com/" + hookToken
	networks := func(s string) []netip.Prefix { return []netip.Prefix{netip.MustParsePrefix(s)} }
	for _, tc := range []struct {
		url  string
		opts webhooksink.Options
		says string
	}{
		{"", webhooksink.Options{}, "http://"},
		{"example.com/" + hookToken, webhooksink.Options{}, "http://"},
		{"ftp://example.com/" + hookToken, webhooksink.Options{}, "http://"},
		{"https:///" + hookToken, webhooksink.Options{}, "host"},
		{"https:" + hookToken, webhooksink.Options{}, "host"},
		{"https://example.com/%zz" + hookToken, webhooksink.Options{}, "cannot be parsed"},
		{"https://exa mple.com/" + hookToken, webhooksink.Options{}, "cannot be parsed"},
		{"https://me:" + password + "@example.com", webhooksink.Options{
			Headers: http.Header{"authorization": {"Bearer " + password}},
		}, "Authorization"},
		{url, webhooksink.Options{Secrets: []string{hookSecret, "whsec_" + password}},
			"Secrets has no base64 after whsec_ in number 2"},
		{url, webhooksink.Options{Secrets: []string{strings.TrimPrefix(hookSecret, "whsec_")}},
			"whsec_"},
		{url, webhooksink.Options{Secrets: []string{"whsec_c2hvcnQ="}}, "24 to 64"},
		{url, webhooksink.Options{Secrets: []string{"whsec_" + strings.Repeat("aaaa", 22)}},
			"24 to 64"},
		{url, webhooksink.Options{Secrets: []string{""}}, "Secrets has no whsec_ at the"},
		{url, webhooksink.Options{Format: webhooksink.Slack(), Secrets: []string{hookSecret}},
			"exclude"},
		{url, webhooksink.Options{Format: webhooksink.Slack(), Template: "x"}, "exclude"},
		{url, webhooksink.Options{Format: webhooksink.Slack(), ContentType: "x"}, "exclude"},
		{url, webhooksink.Options{Format: &webhooksink.Format{}}, "Options.Format is empty"},
		{url, webhooksink.Options{Client: &http.Client{}, AllowedNetworks: loopback}, "exclude"},
		{url, webhooksink.Options{AllowedNetworks: []netip.Prefix{{}}}, "invalid network"},
		{url, webhooksink.Options{AllowedNetworks: networks("::ffff:10.0.0.0/104")}, "IPv4"},
		{url, webhooksink.Options{ContentType: "text/plain\n"}, "ContentType"},
		{url, webhooksink.Options{Headers: http.Header{"x y": {password}}}, "name"},
		{url, webhooksink.Options{Headers: http.Header{"X-Token": {password + "\n"}}}, "X-Token"},
		{url, webhooksink.Options{Headers: http.Header{"content-length": {"1"}}}, "Content-Length"},
		{url, webhooksink.Options{Headers: http.Header{"Webhook-ID": {"1"}}}, "Webhook-Id"},
	} {
		sink, err := webhooksink.New(tc.url, &tc.opts)
		if err == nil || sink != nil {
			t.Errorf("%v is taken, want an error with %q", tc.opts, tc.says)
			continue
		}
		if !strings.HasPrefix(err.Error(), "webhooksink: ") ||
			!strings.Contains(err.Error(), tc.says) {
			t.Errorf("the error is %q, want %q in it", err, tc.says)
		}
		for _, secret := range []string{hookToken, password, hookSecret[6:]} {
			if strings.Contains(err.Error(), secret) {
				t.Errorf("the error holds a secret: %q", err)
			}
		}
	}
}

// What is printed of a sink and of options has no secret.
func TestNothingPrintsSecrets(t *testing.T) {
	withUser := "https://me:" + password + "@example.com/" + hookToken + "?key=" + hookToken
	var log strings.Builder
	logger := slog.New(slog.NewJSONHandler(&log, nil))
	for _, o := range []*webhooksink.Options{
		{Secrets: []string{hookSecret}, Template: `{"key": "` + signingKey + `"}`},
		{Headers: http.Header{"X-Token": {password}}, Client: &http.Client{}},
		{Format: webhooksink.DingTalk(signingKey)},
	} {
		sink, err := webhooksink.New(withUser, o)
		if err != nil {
			t.Fatal(err)
		}
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q"} {
			fmt.Fprintf(&log, verb+verb+verb, sink, o, *o)
			fmt.Fprintf(&log, verb, struct{ s relay.Sink }{sink})
		}
		logger.Info("made", "sink", sink, "options", o, "format", o.Format)
	}
	if !strings.Contains(log.String(), "https://example.com") ||
		!strings.Contains(log.String(), "dingtalk") {
		t.Errorf("nobody can tell which sink it is: %s", log.String())
	}
	for _, secret := range []string{hookToken, password, hookSecret[6:], signingKey} {
		if strings.Contains(log.String(), secret) {
			t.Errorf("%q is printed: %s", secret, log.String())
		}
	}
}

// The words of Options.String say which options are set.
func TestOptionsString(t *testing.T) {
	for want, o := range map[string]webhooksink.Options{
		"webhooksink.Options{}": {},
		"webhooksink.Options{2 secrets, a template, content type text/plain, 1 headers, " +
			"a client, newest only}": {
			Secrets: []string{"a", "b"}, Template: "x", ContentType: "text/plain",
			Headers: http.Header{"X": {"y"}}, Client: &http.Client{}, NewestOnly: true,
		},
		"webhooksink.Options{format slack, allowed networks [127.0.0.0/8]}": {
			Format: webhooksink.Slack(), AllowedNetworks: loopback,
		},
	} {
		if got := o.String(); got != want {
			t.Errorf("String returns %s, want %s", got, want)
		}
	}
}

// A robot that verifies no signatures is sent none.
func TestChatsWithoutSignature(t *testing.T) {
	const address = "https://example.com/robot?access_token=1"
	for _, format := range []*webhooksink.Format{webhooksink.Feishu(""), webhooksink.DingTalk("")} {
		sent := sendTo(t, address, webhooksink.Options{Format: format}, delivery())
		if sent.url != address || strings.Contains(sent.body, `"sign"`) ||
			strings.Contains(sent.body, `"timestamp"`) {
			t.Errorf("%v is sent a signature: %s %s", format, sent.url, sent.body)
		}
	}
}

// What a caller changes in its options after New changes no sink.
func TestOptionsAreCopied(t *testing.T) {
	target := &recorder{}
	opts := &webhooksink.Options{
		Headers: http.Header{"X-Token": {"1"}}, Client: &http.Client{Transport: target},
	}
	sink, err := webhooksink.New("https://example.com", opts)
	if err != nil {
		t.Fatal(err)
	}
	opts.Headers["X-Token"][0] = "2"
	opts.Client.Transport = nil
	opts.NewestOnly = true
	if err := sink.Deliver(context.Background(), delivery()); err != nil {
		t.Fatal(err)
	}
	if got := target.requests[0].header.Get("X-Token"); got != "1" || !sink.EveryEvent() {
		t.Errorf("X-Token is %q, each event is sent: %v; want 1, true", got, sink.EveryEvent())
	}
}

func TestLaneOptions(t *testing.T) {
	for _, tc := range []struct {
		format *webhooksink.Format
		want   int
	}{
		{nil, 0}, {webhooksink.Feishu(""), 60}, {webhooksink.DingTalk(""), 20},
		{webhooksink.WeCom(), 20}, {webhooksink.Slack(), 60}, {webhooksink.Teams(), 60},
	} {
		sink := newSink(t, "https://example.com/"+hookToken, webhooksink.Options{Format: tc.format})
		if got := sink.LaneOptions().PerMinute; got != tc.want {
			t.Errorf("%v: %d requests in a minute, want %d", sink, got, tc.want)
		}
		other := newSink(t, "https://example.com/other", webhooksink.Options{Format: tc.format})
		same := newSink(t, "https://example.com/"+hookToken, webhooksink.Options{Format: tc.format})
		if tc.format == nil {
			if sink.Account() != "" {
				t.Errorf("a plain target has the account %q", sink.Account())
			}
		} else if sink.Account() == other.Account() || sink.Account() != same.Account() {
			t.Errorf("%v: the accounts are %q, %q and %q", sink, sink.Account(), other.Account(),
				same.Account())
		}
	}
}

// A budget that fails ends the delivery before anything is sent, and an attempt sends one request.
func TestDeliverInARelay(t *testing.T) {
	for newestOnly, want := range map[bool]int{false: 3, true: 1} {
		synctest.Test(t, func(t *testing.T) {
			target := &recorder{statuses: []int{500}}
			var log strings.Builder
			r, err := relay.New(memstore.New(),
				&relay.Options{Logger: slog.New(slog.NewTextHandler(&log, nil))})
			if err != nil {
				t.Fatal(err)
			}
			sink := newSink(t, "https://example.com", webhooksink.Options{
				Secrets: []string{hookSecret}, NewestOnly: newestOnly,
				Client: &http.Client{Transport: target},
			})
			r.Handle("hook", sink, sink.LaneOptions())
			p := guancetest.NewProblem("disk", "host", "web001")
			for _, e := range []*guance.Event{
				p.Fault(guance.LevelWarning), p.Fault(guance.LevelError),
				p.Fault(guance.LevelCritical),
			} {
				if _, err := r.Accept(t.Context(), e); err != nil {
					t.Fatal(err)
				}
			}
			ctx, stop := context.WithCancel(t.Context())
			done := make(chan error, 1)
			go func() { done <- r.Run(ctx) }()
			time.Sleep(time.Minute)
			stop()
			if err := <-done; err != nil {
				t.Fatal(err)
			}
			ids := make(map[string]int)
			for _, sent := range target.requests {
				ids[sent.header.Get("Webhook-Id")]++
			}
			if len(ids) != want || len(target.requests) != want+1 {
				t.Errorf("newest only %v: %d requests under %d ids, want %d events and one repeat",
					newestOnly, len(target.requests), len(ids), want)
			}
			for id := range ids {
				if !strings.Contains(log.String(), "webhook_id="+id) {
					t.Errorf("the log does not name %s:\n%s", id, log.String())
				}
			}
			if n := strings.Count(log.String(), "status=204"); n != want {
				t.Errorf("%d lines of the log have the status, want %d:\n%s", n, want, log.String())
			}
		})
	}
}

func TestTemplate(t *testing.T) {
	d := delivery()
	d.Event.Title, d.Event.Raw = `disk "/" is <full>`, nil
	for _, tc := range []struct{ template, contentType, want string }{
		{`{"text": {{json .Data.Title}}}`, "", `{"text": "disk \"/\" is <full>"}`},
		{`{{json .State}}`, "", `"problem"`},
		{`{{.Type}} {{.Level}} {{.Problem}}`, "text/plain", "guance.problem critical " + d.Problem},
		{`[{{json (index .Data.DimensionTags "host")}}, {{json .Data.DimensionTags.rack}}]`, "",
			`["web001", ""]`},
		{`{{range .Data.MonitorIDs}}{{.}}{{end}}{{.Timestamp.Year}}`, "text/plain", ""},
	} {
		got := sendTo(t, "https://example.com", webhooksink.Options{
			Template: tc.template, ContentType: tc.contentType,
		}, d).body
		if tc.want != "" && got != tc.want {
			t.Errorf("%s makes %s, want %s", tc.template, got, tc.want)
		}
	}
}

// What is wrong with a template for each event is an error of New.
func TestTemplateThatNewRefuses(t *testing.T) {
	for _, tc := range []struct{ template, says string }{
		{"{\n{{.Data.Title}", "Options.Template:2"},
		{"{{unknown}}", "unknown"},
		{"{\n\n{{json .Data.Titel}}}", "Options.Template:3:12"},
		{`{"text": "{{.Data.Title}}"}`, "not JSON from byte 17"},
		{`{{json .State}},`, "not JSON"},
		{`{{if false}}x{{end}}`, "not JSON"},
	} {
		_, err := webhooksink.New("https://example.com",
			&webhooksink.Options{Template: tc.template})
		if err == nil || !strings.Contains(err.Error(), tc.says) {
			t.Errorf("%s: %v, want an error with %q", tc.template, err, tc.says)
		}
	}
}

// A template that fails for one event makes a dead letter that names the place, and sends nothing.
func TestTemplateThatFailsAtDelivery(t *testing.T) {
	for _, tc := range []struct{ template, says string }{
		{"[\n{{json (index .Data.Label 0)}}]", "Options.Template:2:8"},
		{`[{{if .Data.DimensionTags.rack}}1{{end}}{{if .Data.AppID}},{{end}}]{{.Data.AppID}}`,
			"not JSON"},
	} {
		target := &recorder{}
		sink := newSink(t, "https://example.com", webhooksink.Options{
			Template: tc.template, Client: &http.Client{Transport: target},
		})
		err := sink.Deliver(context.Background(), &relay.Delivery{
			Event: &guance.Event{Status: guance.StatusError, AppID: "x"},
		})
		permanent, ok := errors.AsType[interface {
			error
			Permanent() bool
		}](err)
		if !ok || !permanent.Permanent() || !strings.Contains(err.Error(), tc.says) {
			t.Errorf("%s: the error is %v, want a permanent one with %q", tc.template, err, tc.says)
		}
		if len(target.requests) > 0 {
			t.Errorf("%s: something was sent: %v", tc.template, target.requests)
		}
	}
}
