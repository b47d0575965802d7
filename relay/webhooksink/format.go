package webhooksink

import (
	"encoding/json"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// A Format is how one kind of chat is spoken to: the body of a message, its signature, and what the
// answers mean. [Feishu], [DingTalk], [WeCom], [Slack] and [Teams] return one. Another target has a
// template, or a relay.Sink of its own.
//
// A message has a title with the level or "recovered", the event's text, and a link to the
// console, or the word Guance if there is none. The text is what Guance calls the message:
// Markdown, which DingTalk, WeCom and Teams show as such. What would call people there is made
// harmless. A text is cut where it is longer than the chat allows.
type Format struct {
	name      string
	perMinute int // requests in a minute
	body      func(m message, now time.Time) any
	sign      func(u *url.URL, now time.Time) // nil: the URL is not signed
	read      func(response) result
}

// String returns the chat's name.
func (f *Format) String() string { return f.name }

// A code is a number of the target's own in an answer, with what it means.
type code struct {
	outcome outcome
	reason  string
	remedy  string
}

// result returns what the code means, and the meaning of one that is not in the list.
func (c code) result(number int) result {
	reason := c.reason
	if reason == "" {
		reason = "see the target's documentation"
	}
	return result{
		outcome: c.outcome, reason: "code " + strconv.Itoa(number) + ": " + reason,
		remedy: c.remedy,
	}
}

// errcode reads the answers of DingTalk and WeCom, {"errcode": 0, "errmsg": "ok"}. The code alone
// decides: both say it with status 200, and a login page has status 200 too. Some documents show it
// as text.
func errcode(codes map[int]code) func(response) result {
	return func(res response) result {
		var said struct {
			Errcode json.RawMessage `json:"errcode"`
		}
		if json.Unmarshal(res.body, &said) != nil {
			return unrecognized(res)
		}
		number, err := strconv.Atoi(strings.Trim(string(said.Errcode), `"`))
		switch {
		case err != nil:
			return unrecognized(res)
		case number == 0 && res.status/100 == 2:
			return result{outcome: delivered}
		case number == 0:
			return unrecognized(res)
		}
		return codes[number].result(number)
	}
}

// keyword is in each message, for robots that refuse messages without a keyword of theirs.
const keyword = "Guance"

// markdownLink returns the link to the console, or the keyword alone.
func markdownLink(m message) string {
	if m.link == "" {
		return keyword
	}
	return "[" + keyword + "](" + m.link + ")"
}

// markdownTitle makes a title harmless in Markdown, whose escapes the chats do not document. What
// begins markup there becomes its full-width form, which reads the same.
var markdownTitle = strings.NewReplacer("](", "］(", "<", "＜", "`", "｀", "**", "＊＊", "@", "＠")

// markdownText leaves Markdown and takes tags out of it, with which WeCom calls people (<@userid>).
var markdownText = strings.NewReplacer("<", "＜")
