package storetest_test

import (
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
