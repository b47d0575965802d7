package webhooksink_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/guance-relay/guance-relay/guance"
	"github.com/guance-relay/guance-relay/guance/guancetest"
	"github.com/guance-relay/guance-relay/relay"
	"github.com/guance-relay/guance-relay/relay/relaytest"
	"github.com/guance-relay/guance-relay/relay/webhooksink"
)

// roundTripper is a transport without a network. It reads the request's body, as every transport
// does.
type roundTripper func(r *http.Request, body []byte) (*http.Response, error)

func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, err
	}
	return f(r, body)
}

func responds(status int, body string, header ...string) roundTripper {
	return func(r *http.Request, _ []byte) (*http.Response, error) {
		h := make(http.Header)
		for i := 0; i+1 < len(header); i += 2 {
			h.Set(header[i], header[i+1])
		}
		return &http.Response{
			StatusCode: status, Header: h, Body: io.NopCloser(strings.NewReader(body)), Request: r,
		}, nil
	}
}

func delivery() *relay.Delivery {
	event := guancetest.NewProblem("disk", "host", "web001").Fault(guance.LevelCritical)
	return &relay.Delivery{
		Event: event, Lane: "hook", Problem: event.ProblemKey(), Seq: 7, Attempt: 1,
		Accepted: time.Now(),
	}
}

// deliverTo returns what a lane makes of the answer of a transport.
func deliverTo(
	t *testing.T, transport http.RoundTripper, format *webhooksink.Format,
) (relaytest.Answer, error) {
	t.Helper()
	sink := relaytest.Record(newSink(t, "https://hook.example.com/"+hookToken, webhooksink.Options{
		Format: format, Client: &http.Client{Transport: transport},
	}))
	err := sink.Deliver(context.Background(), delivery())
	return sink.Attempts()[0].Answer, err
}

func remedyOf(err error) string {
	e, ok := errors.AsType[interface {
		error
		Remedy() string
	}](err)
	if !ok {
		return ""
	}
	return e.Remedy()
}

func lost(err error) bool {
	e, ok := errors.AsType[interface {
		error
		AnswerLost() bool
	}](err)
	return ok && e.AnswerLost()
}

// What an answer means. A word of remedy is one that the remedy must have; "" means no remedy.
func TestAnswers(t *testing.T) {
	const (
		taken     = relaytest.Taken
		again     = relaytest.Unknown
		dead      = relaytest.Refused
		throttled = relaytest.Throttled
	)
	type row struct {
		status int
		body   string
		want   relaytest.Answer
		remedy string
	}
	for name, tc := range map[string]struct {
		format *webhooksink.Format
		rows   []row
	}{
		"plain": {nil, []row{
			{200, "", taken, ""},
			{202, "<html>", taken, ""},
			{204, "", taken, ""},
			{299, "", taken, ""},
			{301, "", again, "redirects to"},
			{307, "", again, "redirects to"},
			{304, "", again, "redirects to"},
			{400, "", dead, ""},
			{401, "", again, "credentials"},
			{402, "", again, ""},
			{403, "", again, "credentials"},
			{404, "", again, "path"},
			{405, "", again, "POST"},
			{407, "", again, "proxy"},
			{408, "", again, ""},
			{409, "", again, ""},
			{410, "", again, "webhook still exists"},
			{413, "", dead, ""},
			{415, "", again, ""},
			{422, "", dead, ""},
			{425, "", again, ""},
			{429, "", throttled, ""},
			{500, "", again, ""},
			{501, "", again, ""},
			{502, "", again, ""},
			{503, "", again, ""},
			{504, "", again, ""},
			{599, "", again, ""},
		}},
		"feishu": {webhooksink.Feishu(signingKey), []row{
			{200, `{"StatusCode":0,"code":0,"data":{},"msg":"success"}`, taken, ""},
			{200, `{"code":9499,"msg":"Bad Request","data":{}}`, dead, ""},
			{200, `{"code":9499,"msg":"too many request","data":{}}`, throttled, ""},
			{400, `{"code":11232,"msg":"frequency limited"}`, throttled, ""},
			{400, `{"code":19001,"msg":"param invalid: access token invalid"}`, again, "token"},
			{200, `{"code":19021,"msg":"sign match fail"}`, again, "clock"},
			{200, `{"code":19022,"msg":"Ip Not Allowed"}`, again, "allowlist"},
			{200, `{"code":19024,"msg":"Key Words Not Found"}`, again, "keyword Guance"},
			{200, `{"code":1254290,"msg":"who knows"}`, again, ""},
			{200, `<html>please log in</html>`, again, "login page"},
			{200, `{"status":200}`, again, "login page"},
			{200, `{"code":"0"}`, again, "login page"},
			{204, ``, again, "login page"},
			{400, ``, again, ""},
			{400, `{"code":0}`, again, ""},
			{403, `<html>blocked</html>`, again, "credentials"},
			{500, `{"code":0}`, again, ""},
			{429, `{"code":0}`, throttled, ""},
		}},
		"dingtalk": {webhooksink.DingTalk(signingKey), []row{
			{200, `{"errcode":0,"errmsg":"ok"}`, taken, ""},
			{200, `{"errcode":"0","errmsg":"ok"}`, taken, ""},
			{200, `{"errcode":-1,"errmsg":"busy"}`, again, ""},
			{200, `{"errcode":130101,"errmsg":"send too fast, exceed 20 times per minute"}`,
				throttled, ""},
			{200, `{"errcode":660026,"errmsg":"throttled"}`, throttled, ""},
			{200, `{"errcode":300005,"errmsg":"token is not exist"}`, again, "access_token"},
			{200, `{"errcode":310000,"errmsg":"keywords not in content"}`, again, "Guance"},
			{200, `{"errcode":460101,"errmsg":"message too long, exceed 20000 bytes"}`, dead, ""},
			{200, `{"errcode":7,"errmsg":"who knows"}`, again, ""},
			{200, `{"errcode":null}`, again, "login page"},
			{200, `{"errcode":"many"}`, again, "login page"},
			{200, `{}`, again, "login page"},
			{200, `[]`, again, "login page"},
			{404, `{"errcode":0}`, again, "path"},
		}},
		"wecom": {webhooksink.WeCom(), []row{
			{200, `{"errcode":0,"errmsg":"ok"}`, taken, ""},
			{200, `{"errcode":-1,"errmsg":"system error"}`, again, ""},
			{200, `{"errcode":40058,"errmsg":"markdown.content exceed max length 4096"}`, dead, ""},
			{200, `{"errcode":45009,"errmsg":"api freq out of limit"}`, throttled, ""},
			{200, `{"errcode":93000,"errmsg":"invalid webhook url"}`, again, "key"},
			{200, `ok`, again, "login page"},
		}},
		"slack": {webhooksink.Slack(), []row{
			{200, "ok", taken, ""},
			{200, "ok\n", taken, ""},
			{200, "no_text", again, "login page"},
			{201, "ok", again, "login page"},
			{200, "", again, "login page"},
			{400, "ok", again, ""},
			{400, "invalid_payload", dead, ""},
			{400, "no_text", dead, ""},
			{400, "too_many_attachments", dead, ""},
			{403, "action_prohibited", again, "administrator"},
			{403, "invalid_token", again, "URL"},
			{404, "channel_not_found", again, "another"},
			{404, "no_service", again, "new one"},
			{410, "channel_is_archived", again, "unarchive"},
			{404, "<html>", again, "path"},
			{429, "rate_limited", throttled, ""},
			{500, "rollup_error", again, ""},
		}},
		"teams": {webhooksink.Teams(), []row{
			{202, "", taken, ""},
			{200, "1", taken, ""},
			{200, "", again, "login page"},
			{200, "<html>", again, "login page"},
			{200, "Webhook message delivery failed with error: Microsoft Teams endpoint returned " +
				"HTTP error 429 with ContextId", throttled, ""},
			{200, "Webhook message delivery failed with error: Microsoft Teams endpoint returned " +
				"HTTP error 403 with ContextId", again, "login page"},
			{400, `{"error":{"code":"TriggerInputSchemaMismatch"}}`, dead, ""},
			{400, `{"error":{"code":"WorkflowTriggerIsNotEnabled"}}`, again, "switch it on"},
			{404, `{"error":{"code":"WorkflowNotFound"}}`, again, "new one"},
			{401, `{"error":{"code":"DirectApiAuthorizationRequired"}}`, again, "anyone"},
			{400, `{"error":{"code":"Other"}}`, again, ""},
			{400, `{"error":7}`, again, ""},
			{413, ``, again, ""},
			{429, ``, throttled, ""},
		}},
	} {
		t.Run(name, func(t *testing.T) {
			for _, r := range tc.rows {
				got, err := deliverTo(t, responds(r.status, r.body), tc.format)
				if got != r.want {
					t.Errorf("status %d with %q is %v, want %v (%v)", r.status, r.body, got, r.want,
						err)
				}
				remedy := remedyOf(err)
				if (remedy == "") != (r.remedy == "") || !strings.Contains(remedy, r.remedy) {
					t.Errorf("status %d with %q: the remedy is %q, want %q", r.status, r.body,
						remedy, r.remedy)
				}
				if err != nil && (strings.HasSuffix(err.Error(), ": ") ||
					!strings.Contains(err.Error(), fmt.Sprintf("status %d: ", r.status))) {
					t.Errorf("status %d with %q: the error is short: %q", r.status, r.body, err)
				}
				if err != nil && r.body != "" && len(r.body) > 20 &&
					strings.Contains(err.Error(), r.body) {
					t.Errorf("status %d: the error quotes the answer: %v", r.status, err)
				}
			}
		})
	}
}

// Retry-After is a number of seconds or a date.
func TestRetryAfter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		in := func(d time.Duration) string {
			return time.Now().Add(d).UTC().Format(http.TimeFormat)
		}
		for _, tc := range []struct {
			status int
			value  string
			want   relaytest.Answer
			delay  time.Duration
		}{
			{429, "7", relaytest.Throttled, 7 * time.Second},
			{429, "0", relaytest.Throttled, 0},
			{429, "-7", relaytest.Throttled, 0},
			{429, "soon", relaytest.Throttled, 0},
			{429, "", relaytest.Throttled, 0},
			{429, "99999999999999999999", relaytest.Throttled, 0},
			{429, in(90 * time.Second), relaytest.Throttled, 90 * time.Second},
			{429, in(-time.Hour), relaytest.Throttled, 0},
			{503, "7", relaytest.Throttled, 7 * time.Second},
			{503, in(time.Minute), relaytest.Throttled, time.Minute},
			{503, "0", relaytest.Unknown, 0},
			{503, "", relaytest.Unknown, 0},
			{500, "7", relaytest.Unknown, 0},
			{403, "7", relaytest.Unknown, 0},
			{400, "7", relaytest.Refused, 0},
		} {
			got, err := deliverTo(t, responds(tc.status, "", "Retry-After", tc.value), nil)
			if got != tc.want {
				t.Errorf("status %d, Retry-After %q is %v, want %v", tc.status, tc.value, got,
					tc.want)
			}
			e, ok := errors.AsType[interface {
				error
				RetryAfter() time.Duration
			}](err)
			if ok && e.RetryAfter() != tc.delay {
				t.Errorf("status %d, Retry-After %q asks for %v, want %v", tc.status, tc.value,
					e.RetryAfter(), tc.delay)
			}
		}
	})
}

// An answer is lost where the target may have the event.
func TestAnswerLost(t *testing.T) {
	fails := func(err error) roundTripper {
		return func(*http.Request, []byte) (*http.Response, error) { return nil, err }
	}
	neverSent := transportFunc(func(r *http.Request) (*http.Response, error) {
		_ = r.Body.Close()
		return nil, errors.New("dial failed")
	})
	breaksOff := roundTripper(func(r *http.Request, _ []byte) (*http.Response, error) {
		return &http.Response{StatusCode: 200, Header: http.Header{}, Request: r,
			Body: io.NopCloser(io.MultiReader(strings.NewReader("o"), failing{}))}, nil
	})
	for name, tc := range map[string]struct {
		transport http.RoundTripper
		format    *webhooksink.Format
		taken     bool
		want      bool
	}{
		"before it was sent": {neverSent, nil, false, false},
		"after it was sent":  {fails(io.ErrUnexpectedEOF), nil, false, true},
		"502":                {responds(502, ""), nil, false, true},
		"504":                {responds(504, ""), nil, false, true},
		"500":                {responds(500, ""), nil, false, false},
		"503":                {responds(503, ""), nil, false, false},
		"404":                {responds(404, ""), nil, false, false},
		"a page with status 200": {responds(200, "<html>"), webhooksink.Slack(), false,
			true},
		"a page with status 403": {responds(403, "<html>"), webhooksink.Slack(), false,
			false},
		"an answer that breaks off":        {breaksOff, webhooksink.Slack(), false, true},
		"an answer that breaks off, plain": {breaksOff, nil, true, false},
		"a chat's word of its own settings": {responds(404, "no_service"), webhooksink.Slack(),
			false, false},
	} {
		_, err := deliverTo(t, tc.transport, tc.format)
		if (err == nil) != tc.taken {
			t.Errorf("%s: the error is %v, want the event taken: %v", name, err, tc.taken)
		}
		if got := lost(err); got != tc.want {
			t.Errorf("%s: the answer is lost: %v, want %v (%v)", name, got, tc.want, err)
		}
	}
}

type transportFunc func(*http.Request) (*http.Response, error)

func (f transportFunc) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

type failing struct{}

func (failing) Read([]byte) (int, error) { return 0, errors.New("the connection broke") }

// A transport may send the body again on another connection, and gets it whole.
func TestBodyCanBeSentAgain(t *testing.T) {
	var bodies []string
	transport := roundTripper(func(r *http.Request, first []byte) (*http.Response, error) {
		for range 2 {
			body, err := r.GetBody()
			if err != nil {
				return nil, err
			}
			again, err := io.ReadAll(body)
			if err != nil {
				return nil, err
			}
			bodies = append(bodies, string(again))
		}
		bodies = append(bodies, string(first))
		return responds(204, "")(r, first)
	})
	if _, err := deliverTo(t, transport, nil); err != nil {
		t.Fatal(err)
	}
	for _, body := range bodies {
		if body != bodies[2] || body == "" {
			t.Errorf("the body is %q, and %q at first", body, bodies[2])
		}
	}
}
