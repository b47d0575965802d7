package pagerduty

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// maxAnswer bounds how much of an answer is read: PagerDuty's have some
// hundred bytes, and what sits in front of it may send anything.
const maxAnswer = 64 << 10

// maxQuote bounds, in bytes, each text of an answer that an error repeats.
const maxQuote = 512

// answer is what a server said, whatever form it said it in.
type answer struct {
	Status   string
	Message  string
	DedupKey string
	Errors   []string
	quote    string // the beginning of a body that was not understood
}

// readAnswer reads the body, as much as is wanted of it. A body that breaks
// off is as good as its beginning: the status has already decided.
func readAnswer(resp *http.Response) []byte {
	size := int64(512)
	if 0 <= resp.ContentLength && resp.ContentLength < maxAnswer {
		size = resp.ContentLength + 1
	}
	body := make([]byte, 0, size)
	limited := io.LimitedReader{R: resp.Body, N: maxAnswer}
	for {
		if len(body) == cap(body) {
			body = append(body, 0)[:len(body)]
		}
		n, err := limited.Read(body[len(body):cap(body)])
		body = body[:len(body)+n]
		if err != nil {
			return body
		}
	}
}

// parseAnswer goes by the content and not by the Content-Type: PagerDuty has
// sent JSON as text/plain and plain text in place of JSON, and errors as a
// list or as one string. hide takes the routing key out of a text; it must be
// asked after decoding, since JSON has several ways to write a letter, and
// before cutting, which would leave half a key it does not know.
func parseAnswer(body []byte, hide func(string) string) answer {
	var wire struct {
		Status   string          `json:"status"`
		Message  string          `json:"message"`
		DedupKey string          `json:"dedup_key"`
		Errors   json.RawMessage `json:"errors"`
	}
	if err := json.Unmarshal(body, &wire); err != nil {
		// A field of another type leaves the others read.
		if _, ok := errors.AsType[*json.UnmarshalTypeError](err); !ok {
			return answer{quote: quote(body, hide)}
		}
	}
	a := answer{
		Status:   excerpt(wire.Status, hide),
		Message:  excerpt(wire.Message, hide),
		DedupKey: wire.DedupKey,
		Errors:   parseErrors(wire.Errors, hide),
	}
	if a.Status == "" && a.Message == "" && a.DedupKey == "" && len(a.Errors) == 0 {
		a.quote = quote(body, hide)
	}
	return a
}

// parseErrors keeps every error, in whatever form it came.
func parseErrors(raw json.RawMessage, hide func(string) string) []string {
	if len(raw) == 0 || string(raw) == "null" {
		return nil
	}
	var list []json.RawMessage
	if json.Unmarshal(raw, &list) != nil {
		list = []json.RawMessage{raw}
	}
	var found []string
	for _, item := range list {
		var s string
		if json.Unmarshal(item, &s) != nil {
			s = string(item)
		}
		if s = excerpt(s, hide); !blank(s) {
			found = append(found, s)
		}
	}
	return found
}

// quote returns the beginning of a body that was not understood.
func quote(body []byte, hide func(string) string) string {
	text := hide(string(body)) // whole: the cut below must not halve a key
	return strings.TrimSpace(excerpt(text[:min(len(text), 4*maxQuote)], hide))
}

// excerpt is what an error repeats of a text from a server.
func excerpt(s string, hide func(string) string) string {
	return shortenBytes(hide(clean(s, true)), maxQuote)
}

// retryAfter returns the wait a server asks for, at most limit, or 0. The
// Events API documents no such header; the REST API's ratelimit-reset and
// HTTP's Retry-After, in seconds or as a date, are taken where they come.
func retryAfter(header http.Header, now time.Time, limit time.Duration) time.Duration {
	limit = max(limit, 0)
	for _, name := range []string{"Retry-After", "Ratelimit-Reset"} {
		value := strings.TrimSpace(header.Get(name))
		if value == "" {
			continue
		}
		if seconds, err := strconv.ParseFloat(value, 64); err == nil {
			if !(seconds > 0) {
				continue
			}
			if seconds >= limit.Seconds() {
				return limit
			}
			return time.Duration(seconds * float64(time.Second))
		}
		if at, err := http.ParseTime(value); err == nil && at.After(now) {
			return min(at.Sub(now), limit)
		}
	}
	return 0
}
