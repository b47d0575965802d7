package main

import (
	"cmp"
	"strings"
	"unicode"

	"github.com/guance-relay/guance-relay/guance"
)

// A message is the body of the webhook.
type message struct {
	Timestamp string  `json:"timestamp"` // Unix seconds, at most an hour old
	Sign      string  `json:"sign"`
	Type      string  `json:"msg_type"`
	Content   content `json:"content"`
}

// The content of a post: a title and paragraphs. A post shows <at user_id="all"> as text, where a
// text message would notify the whole group.
type content struct {
	Post struct {
		Chinese post `json:"zh_cn"`
	} `json:"post"`
}

type post struct {
	Title   string      `json:"title"`
	Content [][]element `json:"content"`
}

type element struct {
	Tag  string `json:"tag"`
	Text string `json:"text"`
	Href string `json:"href,omitempty"`
}

// contentOf maps an event to a post.
func contentOf(e *guance.Event) (c content) {
	word, icon := e.Level().String(), "🔴"
	switch {
	case e.State() == guance.StateRecovered:
		word, icon = "recovered", "🟢"
	case e.State() == guance.StateNeither:
		word, icon = "info", "🔵"
	case e.Level() <= guance.LevelWarning:
		icon = "🟡"
	}
	title := cmp.Or(e.Title, e.CheckerName, "an event without a title")
	text := cmp.Or(e.Message, e.DimensionTagsText, "no message")
	p := &c.Post.Chinese
	p.Title = icon + " " + word + ": " + clean(title, 200)
	p.Content = [][]element{{{Tag: "text", Text: clean(text, 2500)}}}
	if link := e.Link(); len(link) < 1000 && strings.HasPrefix(link, "https://") {
		p.Content = append(p.Content, []element{{Tag: "a", Text: "Guance", Href: link}})
	}
	return c
}

// clean removes control characters and cuts s to n characters. A body may have 20 KB, and JSON
// needs six bytes for some characters.
func clean(s string, n int) string {
	s = strings.Map(func(r rune) rune {
		if unicode.IsControl(r) && r != '\n' {
			return -1
		}
		return r
	}, s)
	if runes := []rune(s); len(runes) > n {
		s = string(runes[:n]) + " …"
	}
	return s
}
