package memstore_test

import (
	"sync"
	"testing"
	"time"

	"github.com/guance-relay/guance-relay/relay/memstore"
	"github.com/guance-relay/guance-relay/relay/store"
	"github.com/guance-relay/guance-relay/relay/storetest"
)

func TestCluster(t *testing.T) {
	storetest.Run(t, func(*testing.T) storetest.Harness {
		place := sync.OnceValue(memstore.NewCluster) // in the bubble
		return storetest.Harness{
			Open:    func() (store.Store, error) { return place().Open("a"), nil },
			Close:   func(s store.Store) error { return s.(*memstore.Handle).Close() },
			Another: func() (store.Store, error) { return place().Open("b"), nil },
			Pause: func(s store.Store, d time.Duration) {
				s.(*memstore.Handle).Pause()
				time.AfterFunc(d, s.(*memstore.Handle).Resume)
			},
			Cut: func(s store.Store, landed bool) func() {
				h, cut := s.(*memstore.Handle), memstore.RequestsLost
				if landed {
					cut = memstore.AnswersLost
				}
				h.Cut(cut)
				return func() { h.Cut(memstore.Connected) }
			},
			Replicate: func() func() {
				place().Replicate()
				return place().Promote
			},
			Bubble: true,
		}
	})
}
