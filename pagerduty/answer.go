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

// maxAnswer bounds how much of an answer is read: PagerDuty's have some
// hundred bytes, and what sits in front of it may send anything.
const maxAnswer = 64 << 10

// maxQuote bounds, in bytes, each text of an answer that an error repeats.
const maxQuote = 512

// answer is what a server said, whatever form it said it in.
type answer struct {
	Status  string
	Message string
	Errors  []string
	quote   string // the beginning of a body that was not understood
	own     bool   // it has PagerDuty's form
	named   bool   // and names errors
}

// readAnswer returns as much of an answer as is wanted of it. The error says that it broke off before.
func readAnswer(resp *http.Response) ([]byte, error) {
	var body io.Reader = resp.Body
	// The request does not ask for compression, and a gateway may compress all the same (RFC 9110, 12.5.3).
	if strings.EqualFold(resp.Header.Get("Content-Encoding"), "gzip") {
		unzipped, err := gzip.NewReader(resp.Body)
		if err != nil {
			return nil, err
		}
		body = unzipped
	}
	return io.ReadAll(io.LimitReader(body, maxAnswer))
}

// form is what PagerDuty's answers are: an object whose status and message are strings (PagerDuty/api-schema, events-v2: Success and
// Error). It is read strictly, with nothing after it: what is cut off, or has a name twice, is not PagerDuty's.
type form struct {
	Status  *string        `json:"status"`
	Message *string        `json:"message"`
	Errors  jsontext.Value `json:"errors"`
}

// wireAnswer is what may be understood of JSON that has not PagerDuty's form: a person wants to read it.
type wireAnswer struct {
	Status   word           `json:"status"`
	Message  word           `json:"message"`
	DedupKey word           `json:"dedup_key"`
	Errors   jsontext.Value `json:"errors"`
}

// word is a string, or empty if something else came in its place: a field of
// another type must not cost the others.
type word string

// UnmarshalJSONFrom implements json.UnmarshalerFrom of go-json-experiment.
func (w *word) UnmarshalJSONFrom(dec *jsontext.Decoder) error {
	*w = ""
	if dec.PeekKind() != jsontext.KindString {
		return dec.SkipValue()
	}
	return json.UnmarshalDecode(dec, (*string)(w))
}

// lenient takes what a careless server may write.
var lenient = json.JoinOptions(
	json.MatchCaseInsensitiveNames(true),
	jsontext.AllowDuplicateNames(true),
	jsontext.AllowInvalidUTF8(true),
)

// parseAnswer goes by the content and not by the Content-Type: PagerDuty has
// sent JSON as text/plain and plain text in place of JSON, and errors as a
// list or as one string. hide takes the routing key out of a text; it must be
// asked after decoding, since JSON has several ways to write a letter, and
// before cutting, which would leave half a key it does not know.
func parseAnswer(body []byte, hide func(string) string) answer {
	body = bytes.TrimPrefix(body, []byte("\ufeff")) // RFC 8259, 8.1, lets a reader ignore it, and some gateways write it
	var f form
	if json.Unmarshal(body, &f) == nil && f.Status != nil && f.Message != nil {
		a := answer{Status: excerpt(*f.Status, hide), Message: excerpt(*f.Message, hide), Errors: parseErrors(f.Errors, hide), own: true}
		a.named = len(a.Errors) > 0 && (f.Errors.Kind() == jsontext.KindBeginArray || f.Errors.Kind() == jsontext.KindString)
		return a
	}
	var wire wireAnswer
	if err := json.Unmarshal(body, &wire, lenient); err != nil {
		return answer{quote: quote(body, hide)}
	}
	a := answer{
		Status:  excerpt(string(wire.Status), hide),
		Message: excerpt(string(wire.Message), hide),
		Errors:  parseErrors(wire.Errors, hide),
	}
	if a.Status == "" && a.Message == "" && wire.DedupKey == "" && len(a.Errors) == 0 {
		a.quote = quote(body, hide)
	}
	return a
}

// parseErrors keeps every error, in whatever form it came.
func parseErrors(raw jsontext.Value, hide func(string) string) []string {
	if len(raw) == 0 || raw.Kind() == jsontext.KindNull {
		return nil
	}
	var list []jsontext.Value
	if json.Unmarshal(raw, &list, lenient) != nil {
		list = []jsontext.Value{raw}
	}
	var found []string
	for _, item := range list {
		s := string(item)
		switch item.Kind() {
		case jsontext.KindNull:
			continue
		case jsontext.KindString:
			_ = json.Unmarshal(item, &s, lenient) // a string that was just read as one
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
// HTTP's Retry-After, in seconds or as a date, are taken where they come. A date
// is read by the clock that wrote it, which the Date of the answer tells: ours may be hours off.
func retryAfter(header http.Header, now time.Time, limit time.Duration) time.Duration {
	limit = max(limit, 0)
	if said, err := http.ParseTime(header.Get("Date")); err == nil {
		now = said
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
