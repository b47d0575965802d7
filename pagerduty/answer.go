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

// maxQuote bounds how much of an answer that is not JSON an error repeats.
const maxQuote = 256

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
// list or as one string.
func parseAnswer(body []byte) answer {
	var wire struct {
		Status   string          `json:"status"`
		Message  string          `json:"message"`
		DedupKey string          `json:"dedup_key"`
		Errors   json.RawMessage `json:"errors"`
	}
	if err := json.Unmarshal(body, &wire); err != nil {
		// A field of another type leaves the others read.
		if _, ok := errors.AsType[*json.UnmarshalTypeError](err); !ok {
			return answer{quote: quote(body)}
		}
	}
	a := answer{
		Status:   shorten(clean(wire.Status, true), maxQuote, units),
		Message:  shorten(clean(wire.Message, true), maxQuote, units),
		DedupKey: wire.DedupKey,
		Errors:   parseErrors(wire.Errors),
	}
	if a.Status == "" && a.Message == "" && a.DedupKey == "" && len(a.Errors) == 0 {
		a.quote = quote(body)
	}
	return a
}

// parseErrors keeps every error, in whatever form it came.
func parseErrors(raw json.RawMessage) []string {
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
		if s = shorten(clean(s, true), maxQuote, units); !blank(s) {
			found = append(found, s)
		}
	}
	return found
}

func quote(body []byte) string {
	if len(body) > 4*maxQuote {
		body = body[:4*maxQuote]
	}
	return shorten(strings.TrimSpace(clean(string(body), true)), maxQuote, units)
}

// retryAfter returns the wait a server asks for, at most limit, or 0. The
// Events API documents no such header; the REST API's ratelimit-reset and
// HTTP's Retry-After, in seconds or as a date, are taken where they come.
func retryAfter(header http.Header, now time.Time, limit time.Duration) time.Duration {
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
