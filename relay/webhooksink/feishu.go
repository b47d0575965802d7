package webhooksink

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"strconv"
	"strings"
	"time"
)

// Feishu returns the format of a custom bot in a Feishu (Lark) group, whose URL ends in
// /open-apis/bot/v2/hook/ and a token. key is the bot's signing key, or "" if signatures are not
// verified. A bot may post 100 times a minute and 5 times a second, with bodies of 20 KB (Feishu
// Open Platform, "Custom bot usage guide":
// https://open.feishu.cn/document/client-docs/bot-v3/add-custom-bot).
func Feishu(key string) *Format {
	return &Format{
		name:      "feishu",
		perMinute: 60,
		body: func(m message, now time.Time) any {
			body := feishuMessage{Type: "post"}
			if key != "" {
				body.Timestamp = strconv.FormatInt(now.Unix(), 10)
				body.Sign = feishuSign(body.Timestamp, key)
			}
			post := &body.Content.Post.Chinese
			post.Title = m.title
			from := feishuElement{Tag: "text", Text: keyword}
			if m.link != "" {
				from = feishuElement{Tag: "a", Text: keyword, Href: m.link}
			}
			post.Content = [][]feishuElement{{{Tag: "text", Text: m.text}}, {from}}
			return body
		},
		read: readFeishu,
	}
}

type feishuMessage struct {
	Timestamp string `json:"timestamp,omitempty"` // Unix seconds; no older than an hour
	Sign      string `json:"sign,omitempty"`
	Type      string `json:"msg_type"`
	// Content is a post: a title and paragraphs. Unlike a text message it takes <at
	// user_id="all"> for text, so that no event can call everybody.
	Content struct {
		Post struct {
			Chinese feishuPost `json:"zh_cn"`
		} `json:"post"`
	} `json:"content"`
}

type feishuPost struct {
	Title   string            `json:"title"`
	Content [][]feishuElement `json:"content"`
}

type feishuElement struct {
	Tag  string `json:"tag"`
	Text string `json:"text"`
	Href string `json:"href,omitempty"`
}

// feishuSign is the HMAC-SHA256 of nothing, under the time and the key (usage guide, "Signature
// verification").
func feishuSign(timestamp, key string) string {
	mac := hmac.New(sha256.New, []byte(timestamp+"\n"+key))
	return base64.StdEncoding.EncodeToString(mac.Sum(nil))
}

// feishuCodes are the codes of the usage guide.
var feishuCodes = map[int]code{
	9499:  {dead, "the request is malformed", ""},
	11232: {throttled, "sent too much", ""},
	19001: {retry, "the webhook's address is wrong", "check the token at the end of the URL"},
	19021: {
		retry, "the signature does not match, or the clock is off by more than an hour",
		"check the signing key, and the clock of this machine",
	},
	19022: {
		retry, "the bot does not admit the address of this machine",
		"add the address to the bot's IP allowlist",
	},
	19024: {
		retry, "the message has none of the bot's keywords",
		"add the keyword " + keyword + " to the bot's security settings: each message has it",
	},
}

// readFeishu reads an answer. The code decides, whatever the status: Feishu says most of it with
// status 200, and a login page has status 200 too.
func readFeishu(res response) result {
	var said struct {
		Code *int   `json:"code"`
		Msg  string `json:"msg"`
	}
	if json.Unmarshal(res.body, &said) != nil || said.Code == nil {
		return unrecognized(res)
	}
	switch number := *said.Code; {
	case number == 0 && res.status/100 == 2:
		return result{outcome: delivered}
	case number == 0:
		return unrecognized(res)
	case number == 9499 && strings.Contains(strings.ToLower(said.Msg), "too many"):
		// Seen in the field; the guide has 9499 for malformed requests alone.
		return result{outcome: throttled, reason: "code 9499: sent too much"}
	default:
		return feishuCodes[number].result(number)
	}
}
