package memstore_test

import (
	"testing"

	"github.com/guance-relay/guance-relay/relay/memstore"
	"github.com/guance-relay/guance-relay/relay/store"
	"github.com/guance-relay/guance-relay/relay/storetest"
)

func TestMemStore(t *testing.T) {
	storetest.Run(t, func(*testing.T) storetest.Harness {
		h := harness(func(s *memstore.Store) { s.Limit(500) })
		h.MaxEntries = 500
		return h
	})
}

func TestMemStoreWithBoundOfLane(t *testing.T) {
	storetest.Run(t, func(*testing.T) storetest.Harness {
		h := harness(func(s *memstore.Store) { s.LimitLane(500) })
		h.MaxLaneEntries = 500
		return h
	})
}

func harness(limit func(*memstore.Store)) storetest.Harness {
	var s *memstore.Store
	return storetest.Harness{
		Open: func() (store.Store, error) {
			if s == nil {
				s = memstore.New()
				limit(s)
			} else {
				s = s.Restart()
			}
			return s, nil
		},
		Close: func(s store.Store) error { return s.(*memstore.Store).Close() },
		Fail: func(s store.Store, err error, landed bool) {
			s.(*memstore.Store).Fail(err, landed)
		},
		Bubble: true,
	}
}
