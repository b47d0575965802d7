package relay_test

import (
	"testing"

	"github.com/guance-relay/guance-relay/relay"
	"github.com/guance-relay/guance-relay/relay/storetest"
)

func TestMemStore(t *testing.T) {
	storetest.Run(t, func(*testing.T) storetest.Place {
		var s *relay.MemStore
		return storetest.Place{
			MaxEntries: 500,
			Open: func() (relay.Store, error) {
				if s == nil {
					s = relay.NewMemStore()
					s.Limit(500)
				} else {
					s = s.Restart()
				}
				return s, nil
			},
			Close: func(s relay.Store) error { return s.(*relay.MemStore).Close() },
			Fail:  func(s relay.Store, err error, landed bool) { s.(*relay.MemStore).Fail(err, landed) },
		}
	})
}
