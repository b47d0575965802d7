package webhook

import (
	"bytes"
	"compress/gzip"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"testing"
	"testing/iotest"
)

// zip compresses each part into a gzip member of its own.
func zip(t testing.TB, parts ...string) string {
	t.Helper()
	var b bytes.Buffer
	for _, part := range parts {
		w := gzip.NewWriter(&b)
		if _, err := io.WriteString(w, part); err != nil {
			t.Fatal(err)
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
	}
	return b.String()
}

func TestContentEncoding(t *testing.T) {
	const text = "a text of some length"
	large := text + strings.Repeat(" ", 1<<20-len(text))
	zipped := zip(t, text)
	bad := []byte(zipped)
	bad[len(bad)-8] ^= 1 // the checksum
	manyEmpty := zipped + strings.Repeat(zip(t, ""), 1<<20/len(zip(t, "")))
	tests := map[string]struct {
		coding []string
		body   string
		text   string // if code is 0
		code   int
	}{
		"none":                  {nil, text, text, 0},
		"none, large":           {nil, large, large, 0},
		"none, too large":       {nil, large + " ", "", 413},
		"none, empty":           {nil, "", "", 0},
		"identity":              {[]string{"identity"}, text, text, 0},
		"gzip":                  {[]string{"gzip"}, zipped, text, 0},
		"x-gzip":                {[]string{"X-GZIP"}, zipped, text, 0},
		"gzip, identity":        {[]string{" gzip ,identity,"}, zipped, text, 0},
		"two headers":           {[]string{"identity", "gzip"}, zipped, text, 0},
		"several members":       {[]string{"gzip"}, zip(t, text[:9], text[9:]), text, 0},
		"gzip, not said so":     {nil, zipped, zipped, 0},
		"cut short":             {[]string{"gzip"}, zipped[:len(zipped)-1], "", 400},
		"cut in the header":     {[]string{"gzip"}, zipped[:5], "", 400},
		"cut in the 2nd member": {[]string{"gzip"}, zip(t, text, "   ")[:len(zipped)+12], "", 400},
		"a wrong checksum":      {[]string{"gzip"}, string(bad), "", 400},
		"more after the end":    {[]string{"gzip"}, zipped + "more", "", 400},
		"nothing":               {[]string{"gzip"}, "", "", 400},
		"not gzip":              {[]string{"gzip"}, text, "", 400},
		"gzip twice":            {[]string{"gzip", "gzip"}, zip(t, zipped), "", 415},
		"deflate":               {[]string{"deflate"}, zipped, "", 415},
		"br":                    {[]string{"br"}, zipped, "", 415},
		"deflate, gzip":         {[]string{"deflate, gzip"}, zipped, "", 415},
		"as large as can be":    {[]string{"gzip"}, zip(t, large), large, 0},
		"larger unzipped":       {[]string{"gzip"}, zip(t, large+" "), "", 413},
		"larger on the wire":    {[]string{"gzip"}, manyEmpty, "", 413},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			r := newReceiver(t, Config{NoAuth: true})
			for _, length := range []string{"known", "chunked"} {
				req := post(test.body)
				req.Header["Content-Encoding"] = test.coding
				if length == "chunked" {
					req.ContentLength = -1
				}
				w := httptest.NewRecorder()
				got, refusal := receive(r, w, req)
				code := 0
				if refusal != nil {
					code = refusal.Code
				}
				if got != test.text || code != test.code {
					t.Errorf("%s length: got %d bytes, %v, want %d", length, len(got), refusal, test.code)
				}
				accept := w.Result().Header.Get("Accept-Encoding")
				if (accept == "gzip") != (code == http.StatusUnsupportedMediaType) {
					t.Errorf("%d with Accept-Encoding %q", code, accept)
				}
				if r.memory.used != 0 {
					t.Errorf("%d bytes are reserved after the release", r.memory.used)
				}
			}
		})
	}
}

// A gzip bomb is refused at the limit and not after it was unpacked.
func TestBomb(t *testing.T) {
	bomb := strings.Repeat(zip(t, strings.Repeat(" ", 1<<20)), 900) // 1 MiB, 900 MiB unpacked
	r := newReceiver(t, Config{NoAuth: true})
	req := post(bomb)
	req.Header.Set("Content-Encoding", "gzip")
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	_, refusal := receive(r, httptest.NewRecorder(), req)
	runtime.ReadMemStats(&after)
	if refusal == nil || refusal.Code != http.StatusRequestEntityTooLarge {
		t.Errorf("got %v, want 413", refusal)
	}
	spent := after.TotalAlloc - before.TotalAlloc
	if spent > 8<<20 { // a slice that grows to 1 MiB, and its smaller predecessors
		t.Errorf("%d bytes allocated for a bomb, want a few MiB", spent)
	}
}

// A body is not read if its Content-Length is too large, so that a sender that waits for
// 100-continue need not send it.
func TestContentLengthTooLarge(t *testing.T) {
	req := post("")
	req.ContentLength = 1<<20 + 1
	req.Body = io.NopCloser(iotest.ErrReader(errors.New("it was read")))
	_, refusal := receive(newReceiver(t, Config{NoAuth: true}), httptest.NewRecorder(), req)
	if refusal == nil || refusal.Code != http.StatusRequestEntityTooLarge {
		t.Errorf("got %v, want 413", refusal)
	}
}
