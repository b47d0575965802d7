package main

import (
	"cmp"
	"strings"
	"unicode"

	"github.com/guance-relay/guance-relay/guance"
)

// A message is the body of the webhook.
type message struct {
	Timestamp string  `json:"timestamp"` // Unix seconds; no older than an hour
	Sign      string  `json:"sign"`
	Type      string  `json:"msg_type"`
	Content   content `json:"content"`
}

// The content of a post: a title and paragraphs. Unlike a text message it takes <at user_id="all"> for text, so that no event can
// call everybody.
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

// contentOf is the mapping.
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
	p := &c.Post.Chinese
	p.Title = icon + " " + word + ": " + short(cmp.Or(e.Title, e.CheckerName, "an event without a title"), 200)
	p.Content = [][]element{{{Tag: "text", Text: short(cmp.Or(e.Message, e.DimensionTagsText, "no message"), 2500)}}}
	if link := e.Link(); len(link) < 1000 && strings.HasPrefix(link, "https://") {
		p.Content = append(p.Content, []element{{Tag: "a", Text: "Guance", Href: link}})
	}
	return c
}

// short drops what cannot be seen and cuts s to n characters. A body may have 20 KB, and JSON writes some characters with six bytes.
func short(s string, n int) string {
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
