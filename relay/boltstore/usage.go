package boltstore

import (
	"context"
	"path/filepath"

	"github.com/guance-relay/guance-relay/relay/internal/storemetrics"
)

// Room returns how many bytes of Options.MaxBytes pending events take, in percent, and how many
// bytes the store's file system has left for this process; -1 if that is not known.
func (s *Store) Room() (percent int, left int64) {
	return int(100 * float64(s.pendingBytes.Load()) / float64(s.opts.MaxBytes)),
		freeSpace(filepath.Dir(s.path))
}

// usage returns what the store holds, for the metrics.
func (s *Store) usage(ctx context.Context) (storemetrics.Usage, error) {
	if err := s.usable(ctx); err != nil {
		return storemetrics.Usage{}, err
	}
	info, err := s.file.Stat()
	if err != nil {
		return storemetrics.Usage{}, err
	}
	u := storemetrics.Usage{
		MaxEntries: int64(s.opts.MaxEntries), MaxBytes: s.opts.MaxBytes, File: info.Size(),
		Free: freeSpace(filepath.Dir(s.path)), Bytes: s.pendingBytes.Load(),
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, h := range s.holdings {
		u.Entries += int64(h.Pending)
	}
	return u, nil
}
