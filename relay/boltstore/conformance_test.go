package boltstore_test

import (
	"testing"

	"github.com/guance-relay/guance-relay/relay/boltstore"
	"github.com/guance-relay/guance-relay/relay/store"
	"github.com/guance-relay/guance-relay/relay/storetest"
)

func TestConformance(t *testing.T) {
	storetest.Run(t, func(t *testing.T) storetest.Harness {
		h := harness(t, &boltstore.Options{MaxEntries: 500, MaxLaneEntries: 500})
		h.MaxEntries = 500
		return h
	})
}

func TestConformanceWithBoundOfLane(t *testing.T) {
	storetest.Run(t, func(t *testing.T) storetest.Harness {
		h := harness(t, &boltstore.Options{MaxEntries: 2000}) // of which a lane may have a quarter
		h.MaxLaneEntries = 500
		return h
	})
}

func harness(t *testing.T, opts *boltstore.Options) storetest.Harness {
	dir := t.TempDir()
	return storetest.Harness{
		Open: func() (store.Store, error) {
			s, err := boltstore.Open(dir, opts)
			if err != nil {
				return nil, err
			}
			s.NoSync() // the suite has no power cut; TestCrashAtEveryWrite has
			return s, nil
		},
		Close: func(s store.Store) error { return s.(*boltstore.Store).Close() },
		Fail: func(s store.Store, err error, landed bool) {
			s.(*boltstore.Store).FailNext(err, landed)
		},
		Bubble: true,
	}
}
