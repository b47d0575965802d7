package webhooksink

import "time"

// maxWeComText is the longest content of a Markdown message, in bytes.
const maxWeComText = 4096

// WeCom returns the format of a group robot of WeCom (企业微信), whose URL is
// https://qyapi.weixin.qq.com/cgi-bin/webhook/send?key=…. It has no signature: the key in the URL
// is all. A robot may post 20 messages a minute, with 4096 bytes of Markdown each (WeCom
// developer centre, 群机器人配置说明: https://developer.work.weixin.qq.com/document/path/91770).
func WeCom() *Format {
	return &Format{
		name:      "wecom",
		perMinute: 20,
		body: func(m message, _ time.Time) any {
			head, tail := "**"+markdownTitle.Replace(m.title)+"**\n", "\n"+markdownLink(m)
			body := weComMessage{Type: "markdown"}
			body.Markdown.Content = head +
				cut(markdownText.Replace(m.text), maxWeComText-len(head)-len(tail)) + tail
			return body
		},
		read: errcode(weComCodes),
	}
}

type weComMessage struct {
	Type     string `json:"msgtype"`
	Markdown struct {
		Content string `json:"content"`
	} `json:"markdown"`
}

// weComCodes are those of the global list
// (https://developer.work.weixin.qq.com/document/path/90313) that a robot can give.
var weComCodes = map[int]code{
	-1:    {retry, "WeCom is busy", ""},
	40058: {dead, "the message is malformed or too long", ""},
	45009: {throttled, "sent more than 20 messages in a minute", ""},
	93000: {
		retry, "the webhook's address is wrong",
		"check the key of the URL, and that the robot exists",
	},
}
