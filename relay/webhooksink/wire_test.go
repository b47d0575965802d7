package webhooksink_test

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// The targets of this file read the wire by themselves, as the vendors' documents describe it.

// read decodes a body of at most limit bytes that has no field but those of v.
func read(r *http.Request, limit int, v any) (string, bool) {
	body, err := io.ReadAll(r.Body)
	decoder := json.NewDecoder(strings.NewReader(string(body)))
	decoder.DisallowUnknownFields()
	ok := err == nil && len(body) <= limit && utf8.Valid(body) && r.Method == http.MethodPost &&
		strings.HasPrefix(r.Header.Get("Content-Type"), "application/json") &&
		decoder.Decode(v) == nil
	return string(body), ok
}

func say(w http.ResponseWriter, format string, args ...any) {
	w.Header().Set("Content-Type", "application/json")
	fmt.Fprintf(w, format, args...)
}

type feishuBody struct {
	Timestamp string `json:"timestamp"`
	Sign      string `json:"sign"`
	MsgType   string `json:"msg_type"`
	Content   struct {
		Post map[string]struct {
			Title   string `json:"title"`
			Content [][]struct {
				Tag  string `json:"tag"`
				Text string `json:"text"`
				Href string `json:"href"`
			} `json:"content"`
		} `json:"post"`
	} `json:"content"`
}

func feishuBot(w http.ResponseWriter, r *http.Request) {
	var body feishuBody
	_, ok := read(r, 20_000, &body)
	if !ok || r.URL.Path != "/open-apis/bot/v2/hook/"+hookToken {
		say(w, `{"code":9499,"msg":"Bad Request"}`)
		return
	}
	seconds, _ := strconv.ParseInt(body.Timestamp, 10, 64)
	mac := hmac.New(sha256.New, fmt.Appendf(nil, "%d\n%s", seconds, signingKey))
	post := body.Content.Post["zh_cn"]
	switch {
	case time.Since(time.Unix(seconds, 0)).Abs() > time.Hour,
		body.Sign != base64.StdEncoding.EncodeToString(mac.Sum(nil)):
		say(w, `{"code":19021,"msg":"sign match fail or timestamp is not within one hour"}`)
	case body.MsgType != "post", post.Title == "", len(post.Content) != 2,
		post.Content[0][0].Text == "":
		say(w, `{"code":9499,"msg":"Bad Request"}`)
	default:
		say(w, `{"StatusCode":0,"StatusMessage":"success","code":0,"data":{},"msg":"success"}`)
	}
}

type dingTalkBody struct {
	MsgType  string `json:"msgtype"`
	Markdown struct {
		Title string `json:"title"`
		Text  string `json:"text"`
	} `json:"markdown"`
}

func dingTalkRobot(w http.ResponseWriter, r *http.Request) {
	var body dingTalkBody
	_, ok := read(r, 20_000, &body)
	query := r.URL.Query()
	at, _ := strconv.ParseInt(query.Get("timestamp"), 10, 64)
	mac := hmac.New(sha256.New, []byte(signingKey))
	fmt.Fprintf(mac, "%d\n%s", at, signingKey)
	switch {
	case r.URL.Path != "/robot/send" || query.Get("access_token") != hookToken || len(query) != 3:
		say(w, `{"errcode":300005,"errmsg":"token is not exist"}`)
	case time.Since(time.UnixMilli(at)).Abs() > time.Hour,
		query.Get("sign") != base64.StdEncoding.EncodeToString(mac.Sum(nil)):
		say(w, `{"errcode":310000,"errmsg":"sign not match"}`)
	case !ok, body.MsgType != "markdown", body.Markdown.Title == "",
		!strings.Contains(body.Markdown.Text, "Guance"):
		say(w, `{"errcode":40035,"errmsg":"invalid parameter"}`)
	default:
		say(w, `{"errcode":0,"errmsg":"ok"}`)
	}
}

type weComBody struct {
	MsgType  string `json:"msgtype"`
	Markdown struct {
		Content string `json:"content"`
	} `json:"markdown"`
}

func weComRobot(w http.ResponseWriter, r *http.Request) {
	var body weComBody
	_, ok := read(r, 20_000, &body)
	switch {
	case r.URL.Query().Get("key") != hookToken:
		say(w, `{"errcode":93000,"errmsg":"invalid webhook url, hint: [1755605200]"}`)
	case !ok, body.MsgType != "markdown", body.Markdown.Content == "",
		len(body.Markdown.Content) > 4096:
		say(w, `{"errcode":40058,"errmsg":"invalid Request Parameter, hint: [1755605200]"}`)
	default:
		say(w, `{"errcode":0,"errmsg":"ok"}`)
	}
}

type slackBody struct {
	Text        string `json:"text"`
	UnfurlLinks *bool  `json:"unfurl_links"`
	UnfurlMedia *bool  `json:"unfurl_media"`
}

func slackHook(w http.ResponseWriter, r *http.Request) {
	var body slackBody
	switch _, ok := read(r, 40_000, &body); {
	case !ok:
		w.WriteHeader(http.StatusBadRequest)
		_, _ = io.WriteString(w, "invalid_payload")
	case body.Text == "":
		w.WriteHeader(http.StatusBadRequest)
		_, _ = io.WriteString(w, "no_text")
	default:
		_, _ = io.WriteString(w, "ok")
	}
}

type teamsBody struct {
	Type        string `json:"type"`
	Attachments []struct {
		ContentType string `json:"contentType"`
		Content     struct {
			Schema  string `json:"$schema"`
			Type    string `json:"type"`
			Version string `json:"version"`
			Body    []struct {
				Type    string `json:"type"`
				Text    string `json:"text"`
				Wrap    bool   `json:"wrap"`
				Inlines []struct {
					Type   string `json:"type"`
					Text   string `json:"text"`
					Weight string `json:"weight"`
				} `json:"inlines"`
			} `json:"body"`
			Actions []struct {
				Type  string `json:"type"`
				Title string `json:"title"`
				URL   string `json:"url"`
			} `json:"actions"`
		} `json:"content"`
	} `json:"attachments"`
}

func teamsFlow(w http.ResponseWriter, r *http.Request) {
	var body teamsBody
	_, ok := read(r, 28_000, &body)
	if !ok || r.URL.Query().Get("sig") != hookToken || body.Type != "message" ||
		len(body.Attachments) != 1 ||
		body.Attachments[0].ContentType != "application/vnd.microsoft.card.adaptive" ||
		body.Attachments[0].Content.Type != "AdaptiveCard" ||
		len(body.Attachments[0].Content.Body) != 2 {
		w.WriteHeader(http.StatusBadRequest)
		say(w, `{"error":{"code":"TriggerInputSchemaMismatch","message":"…"}}`)
		return
	}
	w.WriteHeader(http.StatusAccepted)
}
