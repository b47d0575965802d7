package memstore_test

import (
	"sync"
	"testing"

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
			Bubble:  true,
		}
	})
}
