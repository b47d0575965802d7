package main

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/guance-relay/guance-relay/guance"
	"github.com/guance-relay/guance-relay/guance/guancetest"
	"github.com/guance-relay/guance-relay/relay"
	"github.com/guance-relay/guance-relay/relay/relaytest"
)

const (
	signingKey = "nIMtb7r3N9pkXyXdtAbx6e"
	hookToken  = "b1946ac9-2492-4d23-9f3c-a1b2c3d4e5f6"
)

// bot is a custom bot that decodes requests by hand.
func bot(w http.ResponseWriter, r *http.Request) {
	var body struct {
		Timestamp string `json:"timestamp"`
		Sign      string `json:"sign"`
		MsgType   string `json:"msg_type"`
		Content   struct {
			Post map[string]struct {
				Title   string             `json:"title"`
				Content [][]map[string]any `json:"content"`
			} `json:"post"`
		} `json:"content"`
	}
	raw, err := io.ReadAll(r.Body)
	if err != nil || len(raw) > 20_000 || json.Unmarshal(raw, &body) != nil ||
		r.URL.Path != "/open-apis/bot/v2/hook/"+hookToken {
		answer(w, 9499, "Bad Request")
		return
	}
	seconds, _ := strconv.ParseInt(body.Timestamp, 10, 64)
	mac := hmac.New(sha256.New, fmt.Appendf(nil, "%d\n%s", seconds, signingKey))
	post := body.Content.Post["zh_cn"]
	switch {
	case time.Since(time.Unix(seconds, 0)).Abs() > time.Hour ||
		body.Sign != base64.StdEncoding.EncodeToString(mac.Sum(nil)):
		answer(w, 19021, "sign match fail or timestamp is not within one hour from current time")
	case body.MsgType != "post" || post.Title == "" || len(post.Content) == 0 ||
		post.Content[0][0]["text"] == "":
		answer(w, 9499, "Bad Request")
	default:
		answer(w, 0, "success")
	}
}

func answer(w http.ResponseWriter, code int, msg string) {
	w.Header().Set("Content-Type", "application/json")
	fmt.Fprintf(w, `{"code":%d,"data":{},"msg":%q}`, code, msg)
}

func says(code int, msg string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { answer(w, code, msg) })
}

func TestFeishuKeepsTheContract(t *testing.T) {
	relaytest.TestSink(t, func(_ *testing.T, target *relaytest.Target) relay.Sink {
		return NewFeishu(target.URL+"/open-apis/bot/v2/hook/"+hookToken, signingKey, loopback)
	}, &relaytest.SuiteOptions{
		Takes:     http.HandlerFunc(bot),
		Refuses:   says(19024, "Key Words Not Found"),
		Confirms:  true,
		Throttles: says(11232, "frequency limited psm[lark.oapi.app_platform_runtime]appID[1500]"),
		Secrets:   []string{hookToken, signingKey},
		Patience:  time.Minute,
	})
}

// The answers of Feishu, and of what can stand in front of it.
func TestResults(t *testing.T) {
	for _, tc := range []struct {
		status int
		body   string
		want   relaytest.Answer
	}{
		{200, `{"StatusCode":0,"StatusMessage":"success","code":0,"data":{},"msg":"success"}`,
			relaytest.Taken},
		{200, `{"code":9499,"msg":"Bad Request","data":{}}`, relaytest.Refused},
		{200, `{"code":9499,"msg":"too many request","data":{}}`, relaytest.Throttled},
		{400, `{"code":11232,"msg":"frequency limited"}`, relaytest.Throttled},
		{400, `{"code":19001,"msg":"param invalid: incoming webhook access token invalid"}`,
			relaytest.Unknown},
		{200, `{"code":19021,"msg":"sign match fail"}`, relaytest.Unknown},
		{200, `{"code":19022,"msg":"Ip Not Allowed"}`, relaytest.Unknown},
		{200, `{"code":19024,"msg":"Key Words Not Found"}`, relaytest.Refused},
		{200, `{"code":1254290,"msg":"who knows"}`, relaytest.Unknown},
		{200, `<html>please log in</html>`, relaytest.Unknown},
		{200, `{"status":200}`, relaytest.Unknown},
		{200, `{"code":"0"}`, relaytest.Unknown},
		{204, ``, relaytest.Unknown},
		{403, `<html>blocked</html>`, relaytest.Unknown},
		{500, `{"code":0}`, relaytest.Unknown},
	} {
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(tc.status)
			_, _ = io.WriteString(w, tc.body)
		}))
		sink := relaytest.Record(NewFeishu(server.URL, signingKey, loopback))
		event := guancetest.NewProblem("cpu").Fault(guance.LevelCritical)
		err := sink.Deliver(context.Background(),
			&relay.Delivery{Event: event, Problem: event.ProblemKey()})
		server.Close()
		if got := sink.Attempts()[0].Answer; got != tc.want {
			t.Errorf("status %d with %s is %v, want %v (%v)", tc.status, tc.body, got, tc.want, err)
		}
	}
}

func TestMessages(t *testing.T) {
	p := guancetest.NewProblem("磁盘使用率", "host", "web001")
	for _, tc := range []struct {
		event *guance.Event
		title string
	}{
		{p.Fault(guance.LevelCritical), "🔴 critical: "},
		{p.Fault(guance.LevelWarning), "🟡 warning: "},
		{p.Recover(), "🟢 recovered: "},
		{p.Info(), "🔵 info: "},
		{&guance.Event{Status: guance.StatusCritical}, "🔴 critical: an event without a title"},
		{&guance.Event{Status: guance.StatusCritical, Title: "a\x00b\u202e"}, "🔴 critical: ab\u202e"},
	} {
		if got := contentOf(tc.event).Post.Chinese.Title; !strings.HasPrefix(got, tc.title) {
			t.Errorf("the title is %q, want %q", got, tc.title)
		}
	}
}

// Feishu refuses a body of more than 20 KB.
func TestMessageFits(t *testing.T) {
	for _, text := range []string{strings.Repeat("磁", 100_000), strings.Repeat("\u2028", 100_000),
		strings.Repeat("<", 100_000), strings.Repeat("\x07", 100_000)} {
		e := &guance.Event{Status: guance.StatusCritical, Title: text, Message: text,
			EventLink: "https://console.guance.com/?" + text}
		body, err := json.Marshal(message{Timestamp: "1700000000", Sign: strings.Repeat("=", 44),
			Type: "post", Content: contentOf(e)})
		if err != nil || len(body) > 20_000 {
			t.Errorf("%d times %q make a body of %d bytes, %v", len([]rune(text)), text[:1], len(body), err)
		}
	}
}
