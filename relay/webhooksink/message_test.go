package webhooksink_test

import (
	"encoding/json"
	"regexp"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"github.com/guance-relay/guance-relay/guance"
	"github.com/guance-relay/guance-relay/guance/guancetest"
	"github.com/guance-relay/guance-relay/relay"
	"github.com/guance-relay/guance-relay/relay/webhooksink"
)

// A shown is what a chat shows of a message.
type shown struct{ title, text, link string }

// chats decode what each chat is sent.
var chats = map[string]struct {
	format *webhooksink.Format
	limit  int // bytes of a body
	decode func(t testing.TB, body string) shown
}{
	"feishu": {webhooksink.Feishu(signingKey), 20_000, func(t testing.TB, body string) shown {
		var b feishuBody
		unmarshal(t, body, &b)
		post := b.Content.Post["zh_cn"]
		if from := post.Content[1][0]; from.Text != "Guance" ||
			(from.Tag == "a") != (from.Href != "") {
			t.Errorf("feishu: the last paragraph is %+v", from)
		}
		return shown{post.Title, post.Content[0][0].Text, post.Content[1][0].Href}
	}},
	"dingtalk": {webhooksink.DingTalk(signingKey), 20_000, func(t testing.TB, body string) shown {
		var b dingTalkBody
		unmarshal(t, body, &b)
		text, ok := strings.CutPrefix(b.Markdown.Text, "#### "+b.Markdown.Title+"\n\n")
		if !ok {
			t.Errorf("dingtalk: the text does not begin with the title: %q", b.Markdown.Text)
		}
		text, link := markdownLink(t, text, "\n\n")
		return shown{b.Markdown.Title, text, link}
	}},
	"wecom": {webhooksink.WeCom(), 10_000, func(t testing.TB, body string) shown {
		var b weComBody
		unmarshal(t, body, &b)
		if len(b.Markdown.Content) > 4096 {
			t.Errorf("wecom: the content has %d bytes", len(b.Markdown.Content))
		}
		title, text, _ := strings.Cut(strings.TrimPrefix(b.Markdown.Content, "**"), "**\n")
		text, link := markdownLink(t, text, "\n")
		return shown{title, text, link}
	}},
	"slack": {webhooksink.Slack(), 40_000, func(t testing.TB, body string) shown {
		var b slackBody
		unmarshal(t, body, &b)
		if b.UnfurlLinks == nil || *b.UnfurlLinks || b.UnfurlMedia == nil || *b.UnfurlMedia {
			t.Error("slack: links are unfurled")
		}
		text, link := b.Text, ""
		if i := strings.LastIndex(text, "\n<"); i >= 0 {
			text, link = text[:i], strings.TrimSuffix(text[i+2:], "|Guance>")
		}
		if strings.ContainsAny(text, "<>") ||
			regexp.MustCompile(`&(?:[^alg]|$)`).MatchString(text) {
			t.Errorf("slack: markup in %q", text)
		}
		unescape := strings.NewReplacer("&lt;", "<", "&gt;", ">", "&amp;", "&").Replace
		title, text, _ := strings.Cut(strings.TrimPrefix(text, "*"), "*\n")
		return shown{unescape(title), unescape(text), unescape(link)}
	}},
	"teams": {webhooksink.Teams(), 28_000, func(t testing.TB, body string) shown {
		var b teamsBody
		unmarshal(t, body, &b)
		card, link := b.Attachments[0].Content, ""
		if len(card.Actions) > 0 {
			link = card.Actions[0].URL
		}
		return shown{card.Body[0].Inlines[0].Text, card.Body[1].Text, link}
	}},
}

func unmarshal(t testing.TB, body string, v any) {
	t.Helper()
	if err := json.Unmarshal([]byte(body), v); err != nil || !utf8.ValidString(body) {
		t.Fatalf("the body is not JSON: %v", err)
	}
}

// markdownLink takes the link, or the word alone, off the end of a text.
func markdownLink(t testing.TB, text, before string) (string, string) {
	t.Helper()
	if rest, ok := strings.CutSuffix(text, before+"Guance"); ok {
		return rest, ""
	}
	i := strings.LastIndex(text, before+"[Guance](")
	if i < 0 || !strings.HasSuffix(text, ")") || strings.HasSuffix(text, "()") {
		t.Fatalf("no link at the end of %q", text)
	}
	return text[:i], text[i+len(before+"[Guance](") : len(text)-1]
}

// show returns what each chat shows of an event.
func show(t *testing.T, chat string, e *guance.Event) shown {
	t.Helper()
	c := chats[chat]
	body := sendTo(t, "https://example.com", webhooksink.Options{Format: c.format},
		&relay.Delivery{Event: e}).body
	if len(body) > c.limit {
		t.Errorf("%s: the body has %d bytes, and %d are allowed", chat, len(body), c.limit)
	}
	return c.decode(t, body)
}

func TestTitles(t *testing.T) {
	p := guancetest.NewProblem("磁盘使用率", "host", "web001")
	for _, tc := range []struct {
		event *guance.Event
		title string
	}{
		{p.Fault(guance.LevelFatal), "🔴 fatal: "},
		{p.Fault(guance.LevelCritical), "🔴 critical: "},
		{p.Fault(guance.LevelError), "🔴 error: "},
		{p.Fault(guance.LevelWarning), "🟡 warning: "},
		{p.NoData(), "🟡 nodata: "},
		{p.Recover(), "🟢 recovered: "},
		{p.Info(), "🔵 info: "},
		{p.Incident("working"), "🔵 acknowledged: "},
		{&guance.Event{FaultStatus: guance.StatusFault, Title: "x"}, "🟡 problem: x"},
		{&guance.Event{Status: guance.StatusCritical}, "🔴 critical: an event without a title"},
		{&guance.Event{Status: guance.StatusCritical, CheckerName: "disk"}, "🔴 critical: disk"},
		{&guance.Event{Status: guance.StatusCritical, Title: " a\x00b\n\tc\xff "},
			"🔴 critical: ab c\uFFFD"},
	} {
		for chat := range chats {
			if got := show(t, chat, tc.event).title; !strings.HasPrefix(got, tc.title) {
				t.Errorf("%s: the title is %q, want %q", chat, got, tc.title)
			}
		}
	}
}

// What an event may hold that would be markup, call people or lead elsewhere.
func TestMarkup(t *testing.T) {
	event := &guance.Event{
		Status: guance.StatusCritical,
		Title:  "[P1](http://evil) <@all> **a** `b` @all & <!channel>",
		Message: "# Disk\n**full** <@all> <!channel|x> & <http://evil|x>\n" +
			"[doc](https://example.com)",
		EventLink: "https://console.guance.com/a(b)?x=<y>|z&q=[1]*'`\"\\ &w=磁",
	}
	const link = "https://console.guance.com/a%28b%29?x=%3Cy%3E%7Cz&q=%5B1%5D%2A%27%60%22%5C%20&w=磁"
	full := "🔴 critical: [P1］(http://evil) ＜＠all> ＊＊a＊＊ ｀b｀ ＠all & ＜!channel>"
	text := "# Disk\n**full** ＜@all> ＜!channel|x> & ＜http://evil|x>\n[doc](https://example.com)"
	plain := "🔴 critical: " + event.Title
	for chat, want := range map[string]shown{
		"feishu":   {plain, event.Message, link},
		"dingtalk": {full, text, link},
		"wecom":    {full, text, link},
		"slack":    {strings.ReplaceAll(plain, "*", "＊"), event.Message, link},
		"teams":    {plain, event.Message, link},
	} {
		if got := show(t, chat, event); got != want {
			t.Errorf("%s shows\n%q, want\n%q", chat, got, want)
		}
	}
}

func TestLinks(t *testing.T) {
	for link, want := range map[string]string{
		"https://console.guance.com/x":           "https://console.guance.com/x",
		"http://10.0.0.1/x":                      "http://10.0.0.1/x",
		"javascript:alert(1)":                    "",
		"console.guance.com":                     "",
		"https://":                               "",
		"":                                       "",
		"https://a/" + strings.Repeat("x", 1000): "",
		"https://a/%zz":                          "",
		"https://console.guance.com/x\n)[y](http://z/": "https://console.guance.com/x",
	} {
		for chat := range chats {
			got := show(t, chat, &guance.Event{Status: guance.StatusError, EventLink: link}).link
			if got != want && !(strings.Contains(link, "\n") &&
				!strings.ContainsAny(got, "\n()[]")) {
				t.Errorf("%s: the link of %.60q is %q, want %q", chat, link, got, want)
			}
		}
	}
}

// A chat refuses what is too long, however important: it is cut, between two characters.
func TestLongEventsFit(t *testing.T) {
	for _, text := range []string{"磁", "😀", "\u2028", "<", "&", `"`, `\`, "\n", "a", "\x07", "\xff",
		"*", "]("} {
		long := strings.Repeat(text, 100_000)
		event := &guance.Event{
			Status: guance.StatusCritical, Title: long, Message: "x" + long + "y",
			EventLink: "https://console.guance.com/?" + strings.Repeat("x", 900),
		}
		for chat := range chats {
			got := show(t, chat, event)
			if strings.TrimSpace(text) != "" && text != "\x07" && text != "\xff" &&
				!strings.HasSuffix(got.text, " …") {
				t.Errorf("%s: the text of %q ends with %q, want …", chat, text,
					got.text[max(len(got.text)-20, 0):])
			}
			if got.link == "" {
				t.Errorf("%s: the link of %q was lost", chat, text)
			}
		}
	}
}

// Short texts are not cut.
func TestShortEventsAreWhole(t *testing.T) {
	message := strings.Repeat("磁盘 ", 200) + "end"
	for chat := range chats {
		got := show(t, chat, &guance.Event{Status: guance.StatusError,
			Title: strings.Repeat("a", 200), Message: message})
		if got.text != message || got.title != "🔴 error: "+strings.Repeat("a", 200) {
			t.Errorf("%s: %q and %q were cut", chat, got.title, got.text)
		}
	}
}

func FuzzMessages(f *testing.F) {
	f.Add("title", "message", "https://console.guance.com")
	f.Add("<!channel>", "<@all> [a](b)", "https://a/|x>(b)")
	f.Add("\xff\x00\u2028", strings.Repeat("磁", 3000), "http://[::1]/%28")
	f.Fuzz(func(t *testing.T, title, message, link string) {
		e := &guance.Event{Status: guance.StatusCritical, Title: title, Message: message,
			EventLink: link}
		for chat := range chats {
			got := show(t, chat, e)
			for _, s := range []string{got.title, got.text, got.link} {
				if !utf8.ValidString(s) || strings.ContainsFunc(s,
					func(r rune) bool { return unicode.IsControl(r) && r != '\n' }) {
					t.Errorf("%s shows %q", chat, s)
				}
			}
			if strings.Contains(got.title, "\n") || strings.ContainsAny(got.link, "\n <>()|") {
				t.Errorf("%s: the title is %q and the link %q", chat, got.title, got.link)
			}
			if (chat == "dingtalk" || chat == "wecom") &&
				strings.Contains(got.title+got.text, "<") {
				t.Errorf("%s: a tag in %q", chat, got.title+got.text)
			}
		}
	})
}
