package boltstore_test

import (
	"testing"

	"github.com/guance-relay/guance-relay/relay/boltstore"
)

func TestRoom(t *testing.T) {
	s := open(t, t.TempDir(), &boltstore.Options{MaxBytes: 10_000})
	percent, left := s.Room()
	if percent != 0 || left == 0 {
		t.Errorf("an empty store: %d%%, %d bytes left", percent, left)
	}
	e := entry("1", "1")
	e.Body = make([]byte, 5000)
	add(t, s, e)
	if percent, _ := s.Room(); percent < 50 || percent > 60 {
		t.Errorf("with half of the bytes: %d%%", percent)
	}
}
