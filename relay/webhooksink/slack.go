package webhooksink

import (
	"net/http"
	"strings"
	"time"
)

// maxSlackText is how much of an event's text goes to Slack, in bytes before escapes. Slack
// recommends 4,000 characters at most and cuts messages after 40,000 (chat.postMessage,
// "Truncating content").
const maxSlackText = 3000

// Slack returns the format of an incoming webhook of Slack, whose URL begins with
// https://hooks.slack.com/services/. A webhook may post once a second, and a few times more for a
// moment (https://docs.slack.dev/apis/web-api/rate-limits). See
// https://docs.slack.dev/messaging/sending-messages-using-incoming-webhooks.
func Slack() *Format {
	return &Format{
		name:      "slack",
		perMinute: 60,
		body: func(m message, _ time.Time) any {
			text := "*" + slackTitle.Replace(m.title) + "*\n" +
				slackText.Replace(cut(m.text, maxSlackText))
			if m.link != "" {
				text += "\n<" + slackText.Replace(m.link) + "|Guance>"
			}
			return slackMessage{Text: text}
		},
		read: readSlack,
	}
}

type slackMessage struct {
	Text string `json:"text"`
	// Links are not unfurled: Slack would fetch pages that need a login.
	UnfurlLinks bool `json:"unfurl_links"`
	UnfurlMedia bool `json:"unfurl_media"`
}

// slackText writes the three characters that begin links and mentions, such as <!channel>
// (https://docs.slack.dev/messaging/formatting-message-text, "Escaping text").
var slackText = strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;")

// slackTitle does the same for a title, whose bold type an asterisk would end.
var slackTitle = strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;", "*", "＊")

// slackWords are the answers that the page on incoming webhooks lists under "Handling errors".
// Those that speak of the webhook or the channel do not kill the event.
var slackWords = map[string]code{
	"invalid_payload":      {dead, "the request is malformed", ""},
	"invalid_blocks":       {dead, "the request is malformed", ""},
	"no_text":              {dead, "the message is empty", ""},
	"msg_too_long":         {dead, "the message is too long", ""},
	"too_many_attachments": {dead, "the request is malformed", ""},
	"rollup_error":         {retry, "Slack failed", ""},

	"action_prohibited": {
		retry, "an administrator has restricted posting to this channel",
		"ask the administrator of Slack",
	},
	"posting_to_general_channel_denied": {
		retry, "an administrator has restricted posting to this channel",
		"ask the administrator of Slack",
	},
	"channel_is_archived": {
		retry, "the channel is archived", "unarchive it, or make a webhook for another channel",
	},
	"channel_not_found": {retry, "the channel does not exist", "make a webhook for another"},
	"user_not_found":    {retry, "the user does not exist", "make a webhook for another"},
	"invalid_token":     {retry, "the webhook's address is wrong", "check the URL"},
	"no_active_hooks":   {retry, "the webhook is switched off", "make a new one"},
	"no_service":        {retry, "the webhook does not exist any more", "make a new one"},
	"no_service_id":     {retry, "the webhook's address is wrong", "check the URL"},
	"no_team":           {retry, "the workspace does not exist", "check the URL"},
	"team_disabled":     {retry, "the workspace is switched off", "ask the administrator of Slack"},
}

// readSlack reads an answer, which is one word of plain text: "ok" with status 200, else what is
// wrong.
func readSlack(res response) result {
	word := strings.TrimSpace(string(res.body))
	if word == "ok" && res.status == http.StatusOK {
		return result{outcome: delivered}
	}
	c, ok := slackWords[word]
	if !ok || res.status/100 == 2 {
		return unrecognized(res)
	}
	return result{outcome: c.outcome, reason: word + ": " + c.reason, remedy: c.remedy}
}
