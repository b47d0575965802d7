package relay_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/guance-relay/guance-relay/guance"
	"github.com/guance-relay/guance-relay/relay"
	"github.com/guance-relay/guance-relay/relay/memstore"
	"github.com/guance-relay/guance-relay/relay/store"
)

// A slowStore does not answer for large webhooks until may is closed. It keeps nothing.
type slowStore struct {
	*memstore.Store
	may    chan struct{}
	mu     sync.Mutex
	inside int
}

func (s *slowStore) Append(_ context.Context, b *store.Batch) error {
	if len(b.Events) > 10 {
		s.mu.Lock()
		s.inside++
		s.mu.Unlock()
		<-s.may
	}
	for i, e := range b.Events {
		e.Placed = []store.Placement{{Lane: e.Wanted[0].Lane, Seq: uint64(i + 1)}}
	}
	return nil
}

// manyShort returns a webhook of so many events that each have so many members with short names.
func manyShort(events, members int) string {
	var b strings.Builder
	for e := range events {
		fmt.Fprintf(&b, `,{"df_status":"critical","df_event_id":"event-%d"`, e)
		for m := range members {
			fmt.Fprintf(&b, `,"%x":1`, m)
		}
		b.WriteByte('}')
	}
	return "[" + b.String()[1:] + "]"
}

// Two large bodies are decoded at once. The others wait, are not refused, and do not delay small
// ones.
func TestReport19LargeBodiesWaitForEachOther(t *testing.T) {
	body := manyShort(900, 110) // some 100,000 short members, each event with fewer than it may have
	if len(body) > 1<<20 || len(body) < 700<<10 {
		t.Fatalf("the body has %d bytes, want most of a mebibyte", len(body))
	}
	synctest.Test(t, func(t *testing.T) {
		db := &slowStore{Store: memstore.New(), may: make(chan struct{})}
		r, err := relay.New(db, &relay.Options{Logger: nolog})
		if err != nil {
			t.Fatal(err)
		}
		r.Handle("all", &recorder{}, nil)
		h, err := relay.NewHandler(r, &relay.HandlerOptions{NoAuth: true})
		if err != nil {
			t.Fatal(err)
		}
		var before, after runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&before)
		const senders = 60
		codes := make(chan int, senders)
		for range senders {
			go func() {
				w := httptest.NewRecorder()
				h.ServeHTTP(w, webhookOf(body))
				codes <- w.Code
			}()
		}
		synctest.Wait()
		runtime.GC()
		runtime.ReadMemStats(&after)
		if db.inside == 0 || db.inside > 2 {
			t.Errorf("%d large bodies are decoded at once, want 1 or 2", db.inside)
		}
		held := int64(after.HeapAlloc) - int64(before.HeapAlloc)
		t.Logf("%d bodies of %d bytes take %d MiB", senders, len(body), held>>20)
		if held > 150<<20 {
			t.Errorf("%d bodies of %d bytes take %d MiB, want 150 at most", senders, len(body), held>>20)
		}
		if got := ask(t, h, webhookOf(fault)); got.Code != http.StatusAccepted {
			t.Errorf("a usual webhook beside them: %d %s, want 202", got.Code, got.Message)
		}
		close(db.may)
		for range senders {
			if code := <-codes; code != http.StatusAccepted {
				t.Errorf("a large body: %d, want 202", code)
			}
		}
		// All slots are free again, also after a refusal.
		for range 10 {
			if got := ask(t, h, webhookOf(body+"x")); got.Code != http.StatusBadRequest {
				t.Errorf("a large body that is no JSON: %d, want 400", got.Code)
			}
			got := ask(t, h, webhookOf(manyShort(1, guance.MaxMembers+1)))
			if got.Code != http.StatusRequestEntityTooLarge {
				t.Errorf("an event with too many members: %d, want 413", got.Code)
			}
		}
	})
}

// A large body that waits for a slot is refused in time if the store does not answer.
func TestReport19WaitingForAPlaceEnds(t *testing.T) {
	body := manyShort(100, 100)
	synctest.Test(t, func(t *testing.T) {
		db := &slowStore{Store: memstore.New(), may: make(chan struct{})}
		h := webhook(t, db, open, nolog)
		codes := make(chan int, 6)
		for range cap(codes) {
			go func() {
				w := httptest.NewRecorder()
				h.ServeHTTP(w, webhookOf(body))
				codes <- w.Code
			}()
		}
		for range 4 { // the two that have a slot are in the store
			if code := <-codes; code != http.StatusServiceUnavailable {
				t.Errorf("a large body that waited: %d, want 503", code)
			}
		}
		close(db.may)
		for range 2 {
			if code := <-codes; code != http.StatusAccepted {
				t.Errorf("a large body that had a slot: %d, want 202", code)
			}
		}
	})
}

// A stalled body ends when the test closes rest.
type stalled struct {
	io.Reader
	arrived chan<- struct{}
	rest    <-chan struct{}
}

func (s *stalled) Read(p []byte) (int, error) {
	n, err := s.Reader.Read(p)
	if err == io.EOF {
		s.arrived <- struct{}{}
		<-s.rest
	}
	return n, err
}

// All webhooks together get no more memory than MaxHeldBytes. It is free again after each of them,
// accepted or refused.
func TestBodiesShareMemory(t *testing.T) {
	opts := &relay.HandlerOptions{NoAuth: true, MaxBytes: 64 << 10, MaxHeldBytes: 256 << 10}
	h := webhook(t, newGateway(), opts, nolog)
	for _, ending := range []string{"", "{"} { // the second one makes the bodies invalid
		arrived, rest, done := make(chan struct{}), make(chan struct{}), make(chan int, 4)
		slow := func() {
			go func() {
				req := webhookOf("")
				text := strings.NewReader(strings.Repeat(" ", 60<<10) + fault + ending)
				req.ContentLength, req.Body = -1, io.NopCloser(&stalled{text, arrived, rest})
				done <- ask(t, h, req).Code
			}()
			select {
			case <-arrived:
			case code := <-done:
				t.Fatalf("a slow body is refused: %d", code)
			}
		}
		for range 3 {
			slow()
		}
		if got := ask(t, h, webhookOf(fault)); got.Code != http.StatusAccepted {
			t.Errorf("an ordinary webhook beside slow ones: %d, want 202", got.Code)
		}
		busy := func(got reply) bool {
			return got.Code == http.StatusServiceUnavailable && got.Reason == "busy" &&
				got.Header.Get("Retry-After") == "5"
		}
		// Small on the wire and large when decoded.
		if got := ask(t, h, webhookOf("["+strings.Repeat("{},", 99)+"{}]")); !busy(got) {
			t.Errorf("a hundred events: %d %q, want 503 busy with Retry-After", got.Code, got.Reason)
		}
		slow()
		if got := ask(t, h, webhookOf(strings.Repeat(" ", 32<<10)+fault)); !busy(got) {
			t.Errorf("a body too many: %d %q, want 503 busy", got.Code, got.Reason)
		}
		close(rest)
		want := map[string]int{"": http.StatusAccepted, "{": http.StatusBadRequest}[ending]
		for range 4 {
			if code := <-done; code != want {
				t.Errorf("a slow one: %d, want %d", code, want)
			}
		}
	}
}
