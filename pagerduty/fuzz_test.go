package pagerduty_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/guance-relay/guance-relay/pagerduty"
	"github.com/guance-relay/guance-relay/pagerduty/pagerdutytest"
)

// FuzzSend: no event makes the client panic, or send what the Events API refuses. Each event is
// accepted, or refused before anything is sent.
func FuzzSend(f *testing.F) {
	type seed struct {
		action, dedupKey, summary, source, severity, component, group, class string
		client, url, href, src, details                                      string
		seconds                                                              int64
		repeat                                                               uint16
	}
	for _, s := range []seed{
		{action: "trigger", dedupKey: "k", summary: "s", source: "s", severity: "info",
			details: `{"a":1}`},
		{action: "resolve", dedupKey: "k"},
		{action: "acknowledge", dedupKey: "\xff\x00", summary: "\u2028"},
		{action: "trigger", summary: "\t\r\n", source: " ", severity: "HIGH", href: " ", src: "http://x",
			url: "::"},
		{action: "trigger", dedupKey: "键🙂", summary: "e\u0301🙂\u200d", source: "\u3000",
			seconds: 1 << 40, repeat: 700},
		{action: "change", summary: "deployed", href: "https://example.com/\x7f",
			details: `{"\u0000":[null,{"":1e400}]}`},
		{action: "trigger", dedupKey: "k", class: "\xf0\x9f", group: "<&>", component: "\"",
			client: "\u0085", src: "HTTPS://x/\u00a0", details: `{"d":"x"}`, repeat: 65535},
		{action: "trigger", seconds: -1 << 40, details: `[1]`},
		{action: ""},
	} {
		f.Add(s.action, s.dedupKey, s.summary, s.source, s.severity, s.component, s.group, s.class,
			s.client, s.url, s.href, s.src, s.details, s.seconds, s.repeat)
	}
	f.Fuzz(func(t *testing.T, action, dedupKey, summary, source, severity, component, group, class,
		client, url, href, src, details string, seconds int64, repeat uint16) {
		// Repeat only one of the texts; otherwise the events would be too similar.
		texts := []*string{&dedupKey, &summary, &source, &component, &group, &class, &client, &url,
			&href, &src, &details}
		if text := texts[int(repeat)%len(texts)]; len(*text) > 0 && len(*text) < 100 {
			*text = strings.Repeat(*text, min(int(repeat), 700_000/len(*text))+1)
		}
		var tree map[string]any
		_ = json.Unmarshal([]byte(details), &tree) // invalid JSON gives no details
		if tree == nil {
			tree = map[string]any{details: json.Number(details), "raw": json.RawMessage(details)}
		}
		tree["text"] = class
		fake := pagerdutytest.NewTransport()
		c := newClient(t, &pagerduty.Options{Transport: fake, Retries: -1})
		var err error
		if action == "change" {
			_, err = c.SendChange(t.Context(), &pagerduty.ChangeEvent{
				Summary: summary, Source: source, Timestamp: time.Unix(seconds, 0), Details: tree,
				Links: []pagerduty.Link{{Href: href, Text: group}},
			})
		} else {
			_, err = c.Send(t.Context(), &pagerduty.Event{
				Action: pagerduty.Action(action), DedupKey: dedupKey, Summary: summary, Source: source,
				Severity: pagerduty.Severity(severity), Timestamp: time.Unix(seconds, 0),
				Component: component, Group: group, Class: class, Details: tree, Client: client, ClientURL: url,
				Links:  []pagerduty.Link{{Href: href, Text: group}, {Href: url}},
				Images: []pagerduty.Image{{Src: src, Href: href, Alt: client}, {Src: "https://x/" + src}},
			})
		}
		e, failed := errors.AsType[*pagerduty.Error](err)
		switch requests := fake.Requests(); {
		case err != nil && (!failed || e.Answered() || len(requests) != 0):
			t.Errorf("%v after %d requests", err, len(requests))
		case err == nil && (len(requests) != 1 || requests[0].Status != http.StatusAccepted ||
			requests[0].Size > maxBody):
			t.Errorf("%d requests, the first of %d bytes answered with %d", len(requests), requests[0].Size,
				requests[0].Status)
		case err != nil && action == "trigger" && !e.Permanent():
			t.Errorf("%v of an event", err)
		case err == nil && !utf8.Valid(requests[0].Body):
			t.Errorf("sent what is not UTF-8")
		}
	})
}

// FuzzAnswer: no answer makes the client panic or return a very long error. Only a 2xx with
// PagerDuty's JSON is success.
func FuzzAnswer(f *testing.F) {
	for _, body := range []string{
		`{"status":"success","message":"Event processed","dedup_key":"k"}`,
		`{"status":"invalid event","message":"Event object is invalid","errors":["` + wrongLength + `"]}`,
		`{"errors":"one"}`, `{"errors":[1,null,{"a":[]},"\ud800"]}`, `{"status"}`,
		`{"status":{"status":{}}}`,
		`[]`, `null`, `"text"`, "Invalid routing key", "",
		`{"STATUS":"x","status":"y","status":7}`, "\xff\xfe\x00", `{"message":"` +
			strings.Repeat(`\u0000`, 600) + `"}`, strings.Repeat("[", 20_000),
	} {
		for _, status := range []int{202, 400, 429, 503} {
			f.Add(status, []byte(body), "30", "text/plain")
		}
	}
	f.Add(307, []byte{}, "Thu, 01 Jan 1970 00:00:00 GMT", "application/json")
	f.Add(429, []byte{}, "-1e999", "")
	f.Fuzz(func(t *testing.T, status int, body []byte, retryAfter, contentType string) {
		if status < 100 || status > 999 {
			return // net/http does not accept these
		}
		client := newClient(t,
			&pagerduty.Options{Retries: -1,
				Transport: roundTripper(func(*http.Request) (*http.Response, error) {
					header := http.Header{"Retry-After": {retryAfter}, "Content-Type": {contentType},
						"Location": {retryAfter}}
					return &http.Response{StatusCode: status, Header: header,
						Body: io.NopCloser(strings.NewReader(string(body))), ContentLength: int64(len(body))}, nil
				})})
		result, err := client.Send(t.Context(), trigger("a"))
		var words struct{ Status, Message *string }
		named := json.Unmarshal(bytes.TrimPrefix(body, []byte("\ufeff")), &words) == nil &&
			words.Status != nil && words.Message != nil
		if err == nil && (status/100 != 2 || !named || !strings.EqualFold(*words.Status, "success")) {
			t.Fatalf("%d with %q counts as accepted", status, body)
		}
		if err == nil {
			if result.DedupKey != "a" || len(result.Message) > 1000 {
				t.Errorf("result = %+v", result)
			}
			return
		}
		e, ok := errors.AsType[*pagerduty.Error](err)
		if !ok || e.StatusCode != status {
			t.Fatalf("%d: %v", status, err)
		}
		if d := e.RetryAfter(); d < 0 || d > 5*time.Minute {
			t.Errorf("Retry-After %q: %v", retryAfter, d)
		}
		for _, said := range append(e.Errors, e.Status, e.Message, e.Body) {
			if len(said) > 1000 || !utf8.ValidString(said) {
				t.Errorf("%d bytes quoted, valid %t", len(said), utf8.ValidString(said))
			}
		}
	})
}

// FuzzParseTimestamp: every time that can be read can be sent.
func FuzzParseTimestamp(f *testing.F) {
	for _, s := range []string{"2011-05-06T17:00Z", "2011-05-06T03:30-07", "2011-05-06", "", " ",
		"1963-09-55 90:23:45", "0000-01-01T00:00:00.999999999+23:59", "2021-10-22T5:01Z"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		at, err := pagerduty.ParseTimestamp(s)
		if err != nil {
			return
		}
		ev := trigger("a")
		ev.Timestamp = at
		fake := pagerdutytest.NewTransport()
		if _, err := newClient(t, &pagerduty.Options{Transport: fake}).Send(t.Context(), ev); err != nil {
			t.Errorf("%q read as %v: %v", s, at, err)
		}
	})
}
