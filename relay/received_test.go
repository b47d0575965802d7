package relay_test

import (
	"context"
	"io"
	"log/slog"
	"slices"
	"testing"

	"github.com/guance-relay/guance-relay/guance"
	"github.com/guance-relay/guance-relay/relay"
	"github.com/guance-relay/guance-relay/relay/memstore"
)

// Received is told the fate of each event, and its panic harms nothing.
func TestReceived(t *testing.T) {
	var got []string
	r, err := relay.New(memstore.New(), &relay.Options{
		Logger: slog.New(slog.NewTextHandler(io.Discard, nil)),
		Route: func(_ string, e *guance.Event) []string {
			if e.Title == "nobody's" {
				return nil
			}
			return []string{"a"}
		},
		Received: func(source string, e *guance.Event, r relay.Receipt) {
			got = append(got, source+" "+e.Title+" "+r.Fate)
			panic("boom")
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	r.Handle("a", relay.SinkFunc(func(context.Context, *relay.Delivery) error { return nil }), nil)
	event := func(title string) *guance.Event {
		return &guance.Event{Status: guance.StatusCritical, EventID: "event-" + title, Title: title}
	}
	if _, err := r.AcceptFrom(t.Context(), "s", event("one"), event("nobody's")); err != nil {
		t.Fatal(err)
	}
	if _, err := r.Accept(t.Context(), event("one")); err != nil {
		t.Fatal(err)
	}
	if _, err := r.Accept(t.Context(), event("one")); err != nil {
		t.Fatal(err)
	}
	want := []string{"s one ", "s nobody's unrouted", " one ", " one duplicate"}
	if !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}
