package console_test

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/guance-relay/guance-relay/guance"
	"github.com/guance-relay/guance-relay/relay"
	"github.com/guance-relay/guance-relay/relay/console"
	"github.com/guance-relay/guance-relay/relay/memstore"
	"github.com/guance-relay/guance-relay/relay/store"
)

// With any page size, following next visits each dead letter once. A page of large events ends
// early.
func TestPagesOfDeadLetters(t *testing.T) {
	const dead = 24
	db := memstore.New()
	lease, err := db.Acquire(t.Context(), store.Group{Name: "pagerduty", Lanes: []string{"pagerduty"}})
	if err != nil {
		t.Fatal(err)
	}
	body := []byte(`{"message":"` + strings.Repeat("x", 1<<18) + `yz"}`)
	for i := range dead {
		e := &store.Event{ID: fmt.Sprint(i), Problem: fmt.Sprint("p", i), State: guance.StateProblem,
			Level: guance.LevelError, Accepted: time.Now(), Body: body,
			Wanted: []store.Offer{{Lane: "pagerduty"}}}
		if err := db.Append(t.Context(), &store.Batch{Events: []*store.Event{e}}); err != nil {
			t.Fatal(err)
		}
		if err := lease.Lane("pagerduty").Mark(t.Context(),
			[]store.Mark{{Seq: e.Placed[0].Seq, Problem: e.Problem, State: e.State, Level: e.Level,
				Outcome: store.Dead, Reason: "refused", At: time.Now()}}); err != nil {
			t.Fatal(err)
		}
	}
	r, err := relay.New(db, &relay.Options{Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	r.Handle("pagerduty", relay.SinkFunc(nil), nil)
	h, err := console.New(r, nil)
	if err != nil {
		t.Fatal(err)
	}
	for query, most := range map[string]int{"": 24, "limit=24": 24, "limit=7": 7, "limit=8": 8,
		"limit=1": 1, "body=1": 8, "body=1&limit=3": 3, "text=xyz&limit=5": 5} {
		var seqs []uint64
		for next := uint64(0); ; {
			w := httptest.NewRecorder()
			req := httptest.NewRequest("GET", fmt.Sprintf("/api/dead?after=%d&%s", next, query), nil)
			req.Host = "localhost"
			h.ServeHTTP(w, req)
			var page struct {
				Entries []struct {
					Seq  uint64
					Body json.RawMessage
				}
				Next uint64
			}
			if err := json.Unmarshal(w.Body.Bytes(), &page); err != nil || w.Code != 200 {
				t.Fatalf("%q: %d, %v", query, w.Code, err)
			}
			if len(page.Entries) > most || len(page.Entries) < most && page.Next != 0 {
				t.Errorf("%q: a page of %d, want %d", query, len(page.Entries), most)
			}
			for _, d := range page.Entries {
				if seqs = append(seqs, d.Seq); (d.Body != nil) != strings.Contains(query, "body") {
					t.Errorf("%q: dead letter %d has %d bytes of body", query, d.Seq, len(d.Body))
				}
			}
			if next = page.Next; next == 0 {
				break
			}
		}
		for i, seq := range seqs {
			if seq != uint64(i+1) || len(seqs) != dead {
				t.Fatalf("%q: the pages have %v, want 1 to %d", query, seqs, dead)
			}
		}
	}
}
