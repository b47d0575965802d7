package relay_test

import (
	"context"
	"fmt"
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

// A slowStore does not answer for large webhooks until it may, and keeps nothing.
type slowStore struct {
	*memstore.Store
	may    chan struct{}
	mu     sync.Mutex
	inside int
}

func (s *slowStore) Append(_ context.Context, entries []*store.Entry) error {
	if len(entries) > 10 {
		s.mu.Lock()
		s.inside++
		s.mu.Unlock()
		<-s.may
	}
	for i, e := range entries {
		e.Seq = uint64(i + 1)
	}
	return nil
}

// manyShort is a webhook of a mebibyte at most: as many short members as fit, in as many events as it takes.
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

// Of large bodies few are decoded at once, however many come; the others wait, are not refused, and hold up nobody who is small.
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
		// And all places are free again, also after a refusal.
		for range 10 {
			if got := ask(t, h, webhookOf(body+"x")); got.Code != http.StatusBadRequest {
				t.Errorf("a large body that is no JSON: %d, want 400", got.Code)
			}
			if got := ask(t, h, webhookOf(manyShort(1, guance.MaxMembers+1))); got.Code != http.StatusRequestEntityTooLarge {
				t.Errorf("an event with too many members: %d, want 413", got.Code)
			}
		}
	})
}

// A store that does not answer does not keep those who wait for a place for ever.
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
		for range 4 { // the two that have a place are in the store
			if code := <-codes; code != http.StatusServiceUnavailable {
				t.Errorf("a large body that waited: %d, want 503", code)
			}
		}
		close(db.may)
		for range 2 {
			if code := <-codes; code != http.StatusAccepted {
				t.Errorf("a large body that had a place: %d, want 202", code)
			}
		}
	})
}
