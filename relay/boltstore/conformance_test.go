package boltstore_test

import (
	"testing"

	"github.com/guance-relay/guance-relay/relay"
	"github.com/guance-relay/guance-relay/relay/boltstore"
	"github.com/guance-relay/guance-relay/relay/storetest"
)

func TestConformance(t *testing.T) {
	storetest.Run(t, func(t *testing.T) storetest.Place {
		dir := t.TempDir()
		return storetest.Place{
			MaxEntries: 500,
			Open: func() (relay.Store, error) {
				s, err := boltstore.Open(dir, &boltstore.Options{MaxEntries: 500})
				if err != nil {
					return nil, err
				}
				s.NoSync() // no duty of the suite has a power cut: TestCrashAtEveryWrite has
				return s, nil
			},
			Close: func(s relay.Store) error { return s.(*boltstore.Store).Close() },
			Fail:  func(s relay.Store, err error, landed bool) { s.(*boltstore.Store).FailNext(err, landed) },
		}
	})
}
