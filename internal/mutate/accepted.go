package main

import (
	_ "embed"
	"fmt"
	"strings"
)

// accepted.txt lists the changes that no test needs to catch, because nobody can see them. Each
// paragraph is what -random prints for a survivor, with the reason below:
//
//	guance room
//	- if n == 0 {
//	+ if n == 1 {
//	A slice of one element is made by append as well.
//
//go:embed accepted.txt
var acceptedText string

// accepted parses such a list. It returns the reasons by the key of the change.
func accepted(text string) (map[string]string, error) {
	reasons := make(map[string]string)
	for paragraph := range strings.SplitSeq(text, "\n\n") {
		if paragraph = strings.TrimSpace(paragraph); paragraph == "" ||
			strings.HasPrefix(paragraph, "#") {
			continue
		}
		lines := strings.SplitAfter(paragraph+"\n", "\n")
		end := 1
		for end < len(lines) && (strings.HasPrefix(lines[end], "- ") ||
			strings.HasPrefix(lines[end], "+ ")) {
			end++
		}
		key, why := strings.Join(lines[:end], ""), strings.TrimSpace(strings.Join(lines[end:], ""))
		switch {
		case end == 1:
			return nil, fmt.Errorf("accepted.txt: %q is not followed by the lines of a change",
				strings.TrimSpace(key))
		case why == "":
			return nil, fmt.Errorf("accepted.txt gives no reason for\n%s", key)
		case reasons[key] != "":
			return nil, fmt.Errorf("accepted.txt has this twice:\n%s", key)
		}
		reasons[key] = why
	}
	return reasons, nil
}

// stale returns the keys of accepted changes of these packages that the code no longer allows.
func stale(reasons map[string]string, sources []*source) []string {
	gone := make(map[string]bool)
	for key := range reasons {
		dir, _, _ := strings.Cut(key, " ")
		for _, s := range sources {
			if s.dir == dir {
				gone[key] = true
			}
		}
	}
	for _, s := range sources {
		for _, c := range s.changes() {
			delete(gone, c.key(s.texts[c.file]))
		}
	}
	var keys []string
	for key := range gone {
		keys = append(keys, key)
	}
	return keys
}
