package storetest_test

import (
	"sync"
	"testing"

	"github.com/guance-relay/guance-relay/relay/memstore"
	"github.com/guance-relay/guance-relay/relay/store"
	"github.com/guance-relay/guance-relay/relay/storetest"
)

var t *testing.T // of TestStore(t *testing.T)

// A store that keeps everything in memory. Restart stands for opening the same place again.
func ExampleRun() {
	storetest.Run(t, func(*testing.T) storetest.Harness {
		db := memstore.New()
		return storetest.Harness{
			Open:   func() (store.Store, error) { db = db.Restart(); return db, nil },
			Close:  func(s store.Store) error { return s.(*memstore.Store).Close() },
			Bubble: true,
		}
	})
}

// A store for several nodes. Without Pause, Cut and Replicate, as here, the checks that need such
// faults are left out.
func ExampleRun_nodes() {
	storetest.Run(t, func(*testing.T) storetest.Harness {
		place := sync.OnceValue(memstore.NewCluster) // opened in the bubble
		return storetest.Harness{
			Open:    func() (store.Store, error) { return place().Open("a"), nil },
			Another: func() (store.Store, error) { return place().Open("b"), nil },
			Close:   func(s store.Store) error { return s.(*memstore.Handle).Close() },
			Bubble:  true,
		}
	})
}
