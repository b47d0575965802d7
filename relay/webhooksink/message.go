package webhooksink

import (
	"cmp"
	"net/url"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/guance-relay/guance-relay/guance"
)

// A message is what a chat shows of an event.
type message struct {
	title string // one line
	text  string // Guance's text, which is Markdown, of several lines
	link  string // of the console, without characters that are markup; "" if there is none
}

// The longest texts. JSON writes each character that messageOf leaves with twice its bytes at
// most, so that a body with title and text has less than 20 KB, which is what Feishu and DingTalk
// allow.
const (
	maxTitle = 200  // characters
	maxText  = 7000 // bytes
	maxLink  = 1000 // bytes
)

func messageOf(e *guance.Event) message {
	word, icon := e.Level().String(), "🔴"
	switch {
	case e.State() == guance.StateRecovered:
		word, icon = "recovered", "🟢"
	case e.Acknowledged():
		word, icon = "acknowledged", "🔵"
	case e.State() == guance.StateNeither:
		word, icon = "info", "🔵"
	case e.Level() == guance.LevelNone:
		word, icon = "problem", "🟡" // of a level that is not known
	case e.Level() <= guance.LevelWarning:
		icon = "🟡"
	}
	title := cmp.Or(
		oneLine(visible(e.Title)), oneLine(visible(e.CheckerName)), "an event without a title")
	text := cmp.Or(visible(e.Message), visible(e.DimensionTagsText), "no message")
	return message{
		title: icon + " " + word + ": " + cutRunes(title, maxTitle),
		text:  cut(text, maxText),
		link:  plainLink(e.Link()),
	}
}

// visible returns s in valid UTF-8, without control characters but newlines, and without the space
// around it.
func visible(s string) string {
	s = strings.Map(func(r rune) rune {
		switch {
		case r == '\t':
			return ' '
		case unicode.IsControl(r) && r != '\n':
			return -1
		}
		return r
	}, strings.ToValidUTF8(s, "\uFFFD"))
	return strings.TrimSpace(s)
}

func oneLine(s string) string { return strings.Join(strings.Fields(s), " ") }

const ellipsis = " …"

// cut returns s, or as much of it as fits into n bytes with an ellipsis, without breaking a
// character.
func cut(s string, n int) string {
	if len(s) <= n {
		return s
	}
	end := max(n-len(ellipsis), 0)
	for end > 0 && !utf8.RuneStart(s[end]) {
		end--
	}
	if end == 0 {
		return ""
	}
	return s[:end] + ellipsis
}

// cutRunes returns s, or its first n characters and an ellipsis.
func cutRunes(s string, n int) string {
	for i := range s {
		if n == 0 {
			return s[:i] + ellipsis
		}
		n--
	}
	return s
}

// linkMarkup are the characters that end a link or begin another in one of the formats.
var linkMarkup = strings.NewReplacer(
	"(", "%28", ")", "%29", "<", "%3C", ">", "%3E", "|", "%7C", "[", "%5B", "]", "%5D",
	`"`, "%22", "'", "%27", "`", "%60", `\`, "%5C", " ", "%20", "*", "%2A",
)

// plainLink returns the link if it is one that a chat may show, or "".
func plainLink(link string) string {
	u, err := url.Parse(visible(link))
	if err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Host == "" {
		return ""
	}
	if link = linkMarkup.Replace(u.String()); len(link) > maxLink {
		return ""
	}
	return link
}
