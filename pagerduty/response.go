package pagerduty

import (
	"bytes"
	"compress/gzip"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// maxResponse is the number of bytes that are read of an answer. PagerDuty's have some hundred
// bytes; a gateway in front of it may send anything.
const maxResponse = 64 << 10

// maxQuote limits each text of an answer that an error repeats, in bytes.
const maxQuote = 512

// response is the body of an answer, parsed.
type response struct {
	Status  string
	Message string
	Errors  []string
	quote   string // the beginning of a body that was not understood
	strict  bool   // the body has PagerDuty's form
	listed  bool   // strict, and errors is a list or a string that is not empty
}

// readResponse returns at most maxResponse bytes of the body.
func readResponse(resp *http.Response) ([]byte, error) {
	var body io.Reader = resp.Body
	// A gateway may compress even though the request does not ask for it (RFC 9110, 12.5.3).
	if strings.EqualFold(resp.Header.Get("Content-Encoding"), "gzip") {
		unzipped, err := gzip.NewReader(resp.Body)
		if err != nil {
			return nil, err
		}
		body = unzipped
	}
	return io.ReadAll(io.LimitReader(body, maxResponse))
}

// strictForm is the form of PagerDuty's answers: an object whose status and message are strings
// (PagerDuty/api-schema, events-v2: Success and Error). Duplicate names, and anything after the
// object, make the body invalid.
type strictForm struct {
	Status  *string        `json:"status"`
	Message *string        `json:"message"`
	Errors  jsontext.Value `json:"errors"`
}

// looseForm takes any other JSON object as far as possible, so that an error can show it.
type looseForm struct {
	Status   looseString    `json:"status"`
	Message  looseString    `json:"message"`
	DedupKey looseString    `json:"dedup_key"`
	Errors   jsontext.Value `json:"errors"`
}

// looseString is "" for a value that is not a string: one wrong type must not lose the other
// fields.
type looseString string

// UnmarshalJSONFrom implements json.UnmarshalerFrom of go-json-experiment.
func (s *looseString) UnmarshalJSONFrom(dec *jsontext.Decoder) error {
	*s = ""
	if dec.PeekKind() != jsontext.KindString {
		return dec.SkipValue()
	}
	return json.UnmarshalDecode(dec, (*string)(s))
}

// loose accepts JSON that is not quite valid.
var loose = json.JoinOptions(
	json.MatchCaseInsensitiveNames(true),
	jsontext.AllowDuplicateNames(true),
	jsontext.AllowInvalidUTF8(true),
)

// parseResponse ignores the Content-Type: PagerDuty has sent JSON as text/plain, plain text in
// place of JSON, and errors as a list or as one string. hide removes the routing key from a text.
// It must run after decoding, since JSON can write one letter in several ways, and before cutting,
// since it does not find half a key.
func parseResponse(body []byte, hide func(string) string) response {
	body = bytes.TrimPrefix(body, []byte("\ufeff")) // some gateways write it; RFC 8259, 8.1
	var f strictForm
	if json.Unmarshal(body, &f) == nil && f.Status != nil && f.Message != nil {
		r := response{
			Status: excerpt(*f.Status, hide), Message: excerpt(*f.Message, hide),
			Errors: parseErrors(f.Errors, hide), strict: true,
		}
		kind := f.Errors.Kind()
		r.listed = len(r.Errors) > 0 && (kind == jsontext.KindBeginArray || kind == jsontext.KindString)
		return r
	}
	var l looseForm
	if err := json.Unmarshal(body, &l, loose); err != nil {
		return response{quote: quote(body, hide)}
	}
	r := response{
		Status: excerpt(string(l.Status), hide), Message: excerpt(string(l.Message), hide),
		Errors: parseErrors(l.Errors, hide),
	}
	if r.Status == "" && r.Message == "" && l.DedupKey == "" && len(r.Errors) == 0 {
		r.quote = quote(body, hide)
	}
	return r
}

// parseErrors returns every error of a list, or the one error of any other value.
func parseErrors(raw jsontext.Value, hide func(string) string) []string {
	if len(raw) == 0 || raw.Kind() == jsontext.KindNull {
		return nil
	}
	var list []jsontext.Value
	if json.Unmarshal(raw, &list, loose) != nil {
		list = []jsontext.Value{raw}
	}
	var texts []string
	for _, value := range list {
		s := string(value)
		switch value.Kind() {
		case jsontext.KindNull:
			continue
		case jsontext.KindString:
			_ = json.Unmarshal(value, &s, loose) // cannot fail: it was parsed as a string
		}
		if s = excerpt(s, hide); !blank(s) {
			texts = append(texts, s)
		}
	}
	return texts
}

// quote returns the beginning of a body that was not understood.
func quote(body []byte, hide func(string) string) string {
	text := hide(string(body)) // before the cut, which could halve a key
	return strings.TrimSpace(excerpt(text[:min(len(text), 4*maxQuote)], hide))
}

// excerpt returns what an error repeats of a text from a server.
func excerpt(s string, hide func(string) string) string {
	return shortenBytes(hide(clean(s, true)), maxQuote)
}

// retryAfter returns the wait that a server asks for, at most limit, or 0. It reads HTTP's
// Retry-After, in seconds or as a date, and ratelimit-reset of PagerDuty's REST API; the Events API
// documents neither. A date is compared with the Date of the answer, because the local clock may be
// hours off.
func retryAfter(header http.Header, now time.Time, limit time.Duration) time.Duration {
	limit = max(limit, 0)
	if date, err := http.ParseTime(header.Get("Date")); err == nil {
		now = date
	}
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
