package pagerduty

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/go-json-experiment/json/jsontext"
)

// alert writes an alert event as the Events API v2 takes it. Links, images,
// client and client_url stand beside payload: inside it they are ignored.
func (w *writer) alert(key RoutingKey, ev *Event) {
	w.open("")
	w.text("routing_key", key.Reveal())
	w.text("event_action", string(ev.Action))
	w.text("dedup_key", ev.DedupKey)
	if !ev.bare() {
		w.open("payload")
		w.text("summary", ev.Summary)
		w.text("source", ev.Source)
		w.text("severity", string(ev.Severity))
		w.time("timestamp", ev.Timestamp)
		w.some("component", ev.Component)
		w.some("group", ev.Group)
		w.some("class", ev.Class)
		w.details("custom_details", ev.Details)
		w.close()
	}
	w.some("client", ev.Client)
	w.some("client_url", ev.ClientURL)
	w.links("links", ev.Links)
	w.images("images", ev.Images)
	w.close()
}

// change writes a change event as the Events API v2 takes it. It has neither
// an action nor a severity nor a dedup key.
func (w *writer) change(key RoutingKey, ev *ChangeEvent) {
	w.open("")
	w.text("routing_key", key.Reveal())
	w.open("payload")
	w.text("summary", ev.Summary)
	w.some("source", ev.Source)
	w.time("timestamp", ev.Timestamp)
	w.details("custom_details", ev.Details)
	w.close()
	w.links("links", ev.Links)
	w.close()
}

func (w *writer) links(name string, links []Link) {
	if len(links) == 0 {
		return
	}
	w.name(name)
	w.b = append(w.b, '[')
	for i := range links {
		w.link(&links[i])
	}
	w.b = append(w.b, ']')
}

func (w *writer) link(l *Link) {
	w.open("")
	w.text("href", l.Href)
	w.some("text", l.Text)
	w.close()
}

func (w *writer) images(name string, images []Image) {
	if len(images) == 0 {
		return
	}
	w.name(name)
	w.b = append(w.b, '[')
	for i := range images {
		w.image(&images[i])
	}
	w.b = append(w.b, ']')
}

func (w *writer) image(i *Image) {
	w.open("")
	w.text("src", i.Src)
	w.some("href", i.Href)
	w.some("alt", i.Alt)
	w.close()
}

func (w *writer) time(name string, t time.Time) {
	if t.IsZero() {
		return
	}
	w.name(name)
	w.b = append(w.b, '"')
	w.b = t.UTC().AppendFormat(w.b, wireTime)
	w.b = append(w.b, '"')
}

func (w *writer) details(name string, details map[string]any) {
	if len(details) == 0 {
		return
	}
	w.name(name)
	w.value(details)
}

// writer appends JSON to b, with two liberties taken of the few types there
// are: nothing needs reflection, and names known beforehand no quoting. It
// does not escape for HTML, which makes six bytes of one.
type writer struct {
	b   []byte
	err error // the first
}

// name begins a member of an object, or with no name an element of an array.
func (w *writer) name(name string) {
	if n := len(w.b); n > 0 && w.b[n-1] != '{' && w.b[n-1] != '[' && w.b[n-1] != ':' {
		w.b = append(w.b, ',')
	}
	if name != "" {
		w.b = append(w.b, '"')
		w.b = append(w.b, name...)
		w.b = append(w.b, '"', ':')
	}
}

func (w *writer) open(name string) {
	w.name(name)
	w.b = append(w.b, '{')
}

func (w *writer) close() { w.b = append(w.b, '}') }

// text writes a member that is always there, some one that is if it is not empty.
func (w *writer) text(name, s string) {
	w.name(name)
	w.quote(s)
}

func (w *writer) some(name, s string) {
	if s != "" {
		w.text(name, s)
	}
}

func (w *writer) quote(s string) {
	b, err := jsontext.AppendQuote(w.b, s)
	w.b = b
	w.fail(err)
}

func (w *writer) fail(err error) {
	if w.err == nil {
		w.err = err
	}
}

// value writes what the gardener leaves of details. Names are sorted: the same
// details must be the same bytes.
func (w *writer) value(v any) {
	switch v := v.(type) {
	case nil:
		w.b = append(w.b, "null"...)
	case bool:
		w.b = strconv.AppendBool(w.b, v)
	case string:
		w.quote(v)
	case float64:
		w.b = jsontext.AppendFloat(w.b, v, 64)
	case json.Number:
		w.b = append(w.b, v...)
	case map[string]any:
		w.b = append(w.b, '{')
		names := make([]string, 0, 16) // most objects are small, and this stays on the stack
		names = slices.AppendSeq(names, maps.Keys(v))
		slices.Sort(names)
		for i, name := range names {
			if i > 0 {
				w.b = append(w.b, ',')
			}
			w.quote(name)
			w.b = append(w.b, ':')
			w.value(v[name])
		}
		w.b = append(w.b, '}')
	case []any:
		w.b = append(w.b, '[')
		for i, item := range v {
			if i > 0 {
				w.b = append(w.b, ',')
			}
			w.value(item)
		}
		w.b = append(w.b, ']')
	case int:
		w.b = strconv.AppendInt(w.b, int64(v), 10)
	case int64:
		w.b = strconv.AppendInt(w.b, v, 10)
	case int32:
		w.b = strconv.AppendInt(w.b, int64(v), 10)
	case int16:
		w.b = strconv.AppendInt(w.b, int64(v), 10)
	case int8:
		w.b = strconv.AppendInt(w.b, int64(v), 10)
	case uint:
		w.b = strconv.AppendUint(w.b, uint64(v), 10)
	case uint64:
		w.b = strconv.AppendUint(w.b, v, 10)
	case uint32:
		w.b = strconv.AppendUint(w.b, uint64(v), 10)
	case uint16:
		w.b = strconv.AppendUint(w.b, uint64(v), 10)
	case uint8:
		w.b = strconv.AppendUint(w.b, uint64(v), 10)
	default:
		w.fail(fmt.Errorf("a %T in details", v))
	}
}

// writers are kept with the memory they have got. What leaves them is a copy:
// net/http may still be reading a body after the answer came.
var writers = sync.Pool{New: func() any { return new(writer) }}

// maxPooled keeps a single huge event from pinning its memory.
const maxPooled = 1 << 16

// encode returns what write writes.
func encode(write func(*writer)) ([]byte, error) {
	w := writers.Get().(*writer)
	defer w.release()
	write(w)
	if w.err != nil {
		// Repair has made every value writable, so this is a defect of this package.
		return nil, fmt.Errorf("pagerduty: encoding the event: %w", w.err)
	}
	return slices.Clone(w.b), nil
}

// encodedSize is the size of what write writes.
func encodedSize(write func(*writer)) int {
	w := writers.Get().(*writer)
	defer w.release()
	write(w)
	return len(w.b)
}

// release gives the writer back without what it wrote, which holds the key.
func (w *writer) release() {
	clear(w.b)
	w.b, w.err = w.b[:0], nil
	if cap(w.b) <= maxPooled {
		writers.Put(w)
	}
}
