package webhooksink

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"net/url"
	"strconv"
	"time"
)

// DingTalk returns the format of a custom robot in a DingTalk group, whose URL is
// https://oapi.dingtalk.com/robot/send?access_token=…. secret is what the robot's security
// settings show for signatures ("SEC…"), or "" if it verifies none. A robot may post 20 messages
// a minute, and one that posts more is silent for ten minutes (DingTalk Open Platform, "Custom
// robot access": https://open.dingtalk.com/document/orgapp/custom-robot-access). Bodies have
// 20,000 bytes at most (error 460101).
func DingTalk(secret string) *Format {
	f := &Format{
		name:      "dingtalk",
		perMinute: 20,
		body: func(m message, _ time.Time) any {
			title, text := markdownTitle.Replace(m.title), markdownText.Replace(m.text)
			// The message has no "at", without which @ and a number call nobody.
			body := dingTalkMessage{Type: "markdown"}
			body.Markdown.Title = title
			body.Markdown.Text = "#### " + title + "\n\n" + cut(text, maxText) +
				"\n\n" + markdownLink(m)
			return body
		},
		read: errcode(dingTalkCodes),
	}
	if secret != "" {
		f.sign = func(u *url.URL, now time.Time) { dingTalkSign(u, secret, now) }
	}
	return f
}

type dingTalkMessage struct {
	Type     string `json:"msgtype"`
	Markdown struct {
		Title string `json:"title"` // shown in the list of chats
		Text  string `json:"text"`
	} `json:"markdown"`
}

// dingTalkSign adds the time in milliseconds and the HMAC-SHA256 of time and secret, under the
// secret ("Custom robot access", security settings).
func dingTalkSign(u *url.URL, secret string, now time.Time) {
	timestamp := strconv.FormatInt(now.UnixMilli(), 10)
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write([]byte(timestamp + "\n" + secret))
	query := u.Query()
	query.Set("timestamp", timestamp)
	query.Set("sign", base64.StdEncoding.EncodeToString(mac.Sum(nil)))
	u.RawQuery = query.Encode()
}

// dingTalkCodes are those of the documentation and, where it is silent, of reports:
// https://github.com/ccfos/nightingale/issues/369 (130101) and
// https://github.com/timonwong/prometheus-webhook-dingtalk/issues/30 (460101). A code that is not
// among them is tried again.
var dingTalkCodes = map[int]code{
	-1:     {retry, "DingTalk is busy", ""},
	90030:  {throttled, "sent too much", ""},
	130101: {throttled, "sent more than 20 messages in a minute", ""},
	660026: {throttled, "sent too much", ""},
	300001: {retry, "the robot does not exist", "check the access_token of the URL"},
	300005: {retry, "the robot does not exist", "check the access_token of the URL"},
	460101: {dead, "the message is too long", ""},
	// One code for all three security settings. It does not kill the event, as the settings are
	// at fault.
	310000: {
		retry, "the signature, the keywords or the address do not match the security settings",
		"check the secret, the clock of this machine and the robot's list of addresses, " +
			"and let " + keyword + " be a keyword: each message has it",
	},
}
