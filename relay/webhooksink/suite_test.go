package webhooksink_test

import (
	"encoding/json"
	"io"
	"net/http"
	"net/netip"
	"testing"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"github.com/guance-relay/guance-relay/relay"
	"github.com/guance-relay/guance-relay/relay/relaytest"
	"github.com/guance-relay/guance-relay/relay/webhooksink"
)

const (
	hookSecret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
	oldSecret  = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD"
	hookToken  = "b1946ac9-2492-4d23-9f3c-a1b2c3d4e5f6"
	signingKey = "SECnIMtb7r3N9pkXyXdtAbx6e"
	password   = "correct-horse-battery"
)

var loopback = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}

// newSink returns a sink that may reach the loopback, and ends the test if New fails.
func newSink(t *testing.T, url string, opts webhooksink.Options) *webhooksink.Sink {
	t.Helper()
	if opts.Client == nil {
		opts.AllowedNetworks = loopback
	}
	sink, err := webhooksink.New(url, &opts)
	if err != nil {
		t.Fatal(err)
	}
	return sink
}

// replies returns a target that gives one answer.
func replies(status int, body string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(status)
		_, _ = io.WriteString(w, body)
	})
}

// receiver verifies signatures as a receiver does, with the library's own function.
func receiver(w http.ResponseWriter, r *http.Request) {
	key, err := standardwebhooks.NewWebhook(hookSecret)
	if err != nil {
		panic(err)
	}
	body, err := io.ReadAll(r.Body)
	if err == nil {
		err = key.Verify(body, r.Header)
	}
	if err != nil || !json.Valid(body) {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	w.WriteHeader(http.StatusNoContent)
}

// Each kind of target keeps the contract of relay.Sink.
func TestContract(t *testing.T) {
	type target struct {
		path    string
		opts    webhooksink.Options
		suite   relaytest.SuiteOptions
		secrets []string
	}
	for name, tc := range map[string]target{
		"plain": {path: "/hook/" + hookToken},
		"signed": {
			path: "/hook/" + hookToken,
			opts: webhooksink.Options{
				Secrets: []string{hookSecret, oldSecret},
				Headers: http.Header{"Authorization": {"Bearer " + password}},
			},
			suite:   relaytest.SuiteOptions{Takes: http.HandlerFunc(receiver)},
			secrets: []string{hookSecret, oldSecret, password},
		},
		"template": {
			path: "/hook/" + hookToken,
			opts: webhooksink.Options{
				Template: `{"text": {{json .Data.Title}}, "id": {{json .Data.EventID}}}`,
			},
		},
		"feishu": {
			path: "/open-apis/bot/v2/hook/" + hookToken,
			opts: webhooksink.Options{Format: webhooksink.Feishu(signingKey)},
			suite: relaytest.SuiteOptions{
				Takes:     http.HandlerFunc(feishuBot),
				Refuses:   replies(400, `{"code":9499,"msg":"Bad Request","data":{}}`),
				Throttles: replies(200, `{"code":11232,"msg":"frequency limited psm[lark.oapi]"}`),
				Confirms:  true,
			},
		},
		"dingtalk": {
			path: "/robot/send?access_token=" + hookToken,
			opts: webhooksink.Options{Format: webhooksink.DingTalk(signingKey)},
			suite: relaytest.SuiteOptions{
				Takes: http.HandlerFunc(dingTalkRobot),
				Refuses: replies(200,
					`{"errcode":460101,"errmsg":"message too long, exceed 20000 bytes"}`),
				Throttles: replies(200, `{"errcode":130101,"errmsg":"send too fast"}`),
				Confirms:  true,
			},
		},
		"wecom": {
			path: "/cgi-bin/webhook/send?key=" + hookToken,
			opts: webhooksink.Options{Format: webhooksink.WeCom()},
			suite: relaytest.SuiteOptions{
				Takes: http.HandlerFunc(weComRobot),
				Refuses: replies(200,
					`{"errcode":40058,"errmsg":"markdown.content exceed max length 4096"}`),
				Throttles: replies(200, `{"errcode":45009,"errmsg":"api freq out of limit"}`),
				Confirms:  true,
			},
		},
		"slack": {
			path: "/services/T0/B0/" + hookToken,
			opts: webhooksink.Options{Format: webhooksink.Slack()},
			suite: relaytest.SuiteOptions{
				Takes:    http.HandlerFunc(slackHook),
				Refuses:  replies(400, "invalid_payload"),
				Confirms: true,
			},
		},
		"teams": {
			path: "/workflows/invoke?sig=" + hookToken,
			opts: webhooksink.Options{Format: webhooksink.Teams()},
			suite: relaytest.SuiteOptions{
				Takes: http.HandlerFunc(teamsFlow),
				Refuses: replies(400,
					`{"error":{"code":"TriggerInputSchemaMismatch","message":"…"}}`),
			},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			suite := tc.suite
			suite.Patience = time.Minute
			suite.Secrets = append(tc.secrets, hookToken, signingKey)
			relaytest.TestSink(t, func(t *testing.T, target *relaytest.Target) relay.Sink {
				return newSink(t, target.URL+tc.path, tc.opts)
			}, &suite)
		})
	}
}
