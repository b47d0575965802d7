package boltstore

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"

	bolt "go.etcd.io/bbolt"

	"github.com/guance-relay/guance-relay/relay/store"
)

// mapSize is how much of the file is mapped at least. To map more of it, bbolt waits for all who
// read, and a commit for bbolt: while a backup is copied, webhooks would wait. A map needs address
// space and no memory. etcd has the same number. On 32 bits it is zero: bbolt chooses.
const mapSize = (math.MaxInt >> 62) * 10 << 30

// backupSpare is how much room a copy leaves on the disk, for events that come meanwhile.
const backupSpare = 64 << 20

// Backup writes a copy of the store to w, as one commit left it: everything that was accepted
// before the call is in it. [Restore] makes a store of it. Backup may be called while the store is
// in use.
//
// It first copies the file within its directory, as fast as the disk allows, to a file that has
// no name. Then it writes that copy to w, which may take as long as it likes: no other call waits
// for it. It returns [store.ErrFull], and has written nothing, if the disk has not enough room for
// the copy and 64 MiB more. While the copy is made, the file does not use free room again: it may
// grow.
func (s *Store) Backup(ctx context.Context, w io.Writer) (err error) {
	if err := s.usable(ctx); err != nil {
		return err
	}
	f, err := os.CreateTemp(filepath.Dir(s.path), fileName+".backup-*")
	if err != nil {
		return fmt.Errorf("boltstore: backup: %w", err)
	}
	removed := os.Remove(f.Name()) == nil // Windows does not remove an open file
	defer func() {
		err = errors.Join(err, f.Close())
		if !removed {
			_ = os.Remove(f.Name())
		}
	}()
	if err := s.copyTo(ctx, f); err != nil {
		return fmt.Errorf("boltstore: backup: %w", err)
	}
	if _, err = f.Seek(0, io.SeekStart); err == nil {
		_, err = io.Copy(w, f)
	}
	if err != nil {
		return fmt.Errorf("boltstore: sending the backup: %w", err)
	}
	return nil
}

// copyTo copies the file to f in one read transaction.
func (s *Store) copyTo(ctx context.Context, f *os.File) error {
	return s.view(func(tx *bolt.Tx) error {
		room := freeSpace(filepath.Dir(s.path))
		if room >= 0 && room < tx.Size()+backupSpare {
			return fmt.Errorf("%w: the disk has room for %d bytes, and the copy needs %d and %d more for "+
				"new events; nothing was copied. Make room", store.ErrFull, room, tx.Size(), backupSpare)
		}
		_, err := tx.WriteTo(&copyFile{store: s, ctx: ctx, f: f})
		if noSpace(err) {
			return fmt.Errorf("%w: %w; the copy was deleted. Make room", store.ErrFull, err)
		}
		return err
	})
}

// A copyFile is the file that a backup is copied to. It stops when the store closes, which waits
// for readers.
type copyFile struct {
	store *Store
	ctx   context.Context
	f     *os.File
}

// Write implements io.Writer.
func (c *copyFile) Write(b []byte) (int, error) {
	select {
	case <-c.store.stop:
		return 0, store.ErrClosed
	case <-c.ctx.Done():
		return 0, c.ctx.Err()
	default:
	}
	return c.f.Write(b)
}
