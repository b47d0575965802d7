package boltstore

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"time"

	bolt "go.etcd.io/bbolt"
	berrors "go.etcd.io/bbolt/errors"

	"github.com/guance-relay/guance-relay/relay/store"
)

const (
	fileName = "relay.db"
	// lockWait is for a process that is being replaced and still closes its store.
	lockWait = time.Second
)

// openFile opens the file in dir. It creates both if they do not exist.
func (s *Store) openFile(dir string) error {
	if err := makeDir(dir, s.log); err != nil {
		return err
	}
	s.path = filepath.Join(dir, fileName)
	info, err := os.Lstat(s.path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		err = create(dir, s.path)
	case err == nil && info.Mode()&fs.ModeSymlink != 0:
		// In a directory where anybody may write, the link could be another user's, and the store
		// would write a file of that user's choice.
		err = fmt.Errorf("boltstore: %s is a symbolic link, which is not followed; nothing was "+
			"changed. Open the directory of the file that the link points to", s.path)
	case err == nil && !info.Mode().IsRegular():
		err = fmt.Errorf("boltstore: %s is not a regular file (mode %v); nothing was changed",
			s.path, info.Mode())
	case err != nil:
		err = fmt.Errorf("boltstore: %w", err)
	}
	if err != nil {
		return err
	}
	if err := inspect(s.path); err != nil {
		return s.explain(err)
	}
	opts := options()
	if runtime.GOOS != "windows" { // which would make the file as large as its map
		opts.InitialMmapSize = mapSize
	}
	opts.OpenFile = func(name string, flag int, mode os.FileMode) (*os.File, error) {
		f, err := openFile(name, flag, mode)
		if s.file = f; err == nil {
			s.info, err = f.Stat()
		}
		return f, err
	}
	s.db, err = openBolt(s.path, opts)
	if err != nil {
		if s.file != nil {
			_ = s.file.Close() // after a panic, bbolt has left the file open and locked
		}
		return s.explain(err)
	}
	s.db.AllocSize = minGrowth // more, and a large map, would fill a small disk at once
	if s.info.Mode().Perm()&^0o600 != 0 && runtime.GOOS != "windows" {
		// Events name hosts and customers. Some volumes that a group shares allow no other mode.
		if err := s.file.Chmod(0o600); err != nil {
			s.log.Warn("boltstore: other users may read the store's file, and its mode cannot be "+
				"changed", "file", s.path, "mode", s.info.Mode().String(), "error", err.Error())
		}
	}
	return nil
}

func options() *bolt.Options {
	return &bolt.Options{
		Timeout: lockWait, NoFreelistSync: true, FreelistType: bolt.FreelistMapType,
		OpenFile: openFile,
	}
}

// openFile opens a file that is not a symbolic link.
func openFile(name string, flag int, mode os.FileMode) (*os.File, error) {
	return os.OpenFile(name, flag|noFollow, mode)
}

// explain adds to an error of opening what it means and what to do.
func (s *Store) explain(err error) error {
	switch {
	case errors.Is(err, berrors.ErrTimeout):
		return fmt.Errorf("boltstore: %s is locked: %w, usually by another process; stop that "+
			"process, or use another directory", s.path, ErrLocked)
	case errors.Is(err, berrors.ErrInvalid), errors.Is(err, berrors.ErrChecksum),
		errors.Is(err, berrors.ErrVersionMismatch):
		err = fmt.Errorf("%w: %w", store.ErrDamaged, err)
	}
	if errors.Is(err, store.ErrDamaged) {
		return fmt.Errorf("boltstore: %s: %w; nothing was changed. Keep the file for repair, and "+
			"move it away to start with an empty store: see docs/operations.md", s.path, err)
	}
	return fmt.Errorf("boltstore: opening %s: %w", s.path, err)
}

// openBolt opens a bbolt file. bbolt panics if pages are damaged, and a read beyond the end of the
// file is a fault.
func openBolt(path string, opts *bolt.Options) (db *bolt.DB, err error) {
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		if p := recover(); p != nil {
			db, err = nil, fmt.Errorf("%w: %v", store.ErrDamaged, p)
		}
	}()
	return bolt.Open(path, 0o600, opts)
}

// inspect checks the structure of the file before bbolt opens it for writing, which changes it. It
// does not read events: Load returns the error for a damaged one.
func inspect(path string) (err error) {
	info, err := os.Stat(path)
	if err != nil {
		return err
	}
	if info.Size() == 0 {
		return fmt.Errorf("%w: the file is empty", store.ErrDamaged)
	}
	opts := options()
	opts.ReadOnly = true // bbolt reads the first two pages and no others
	db, err := openBolt(path, opts)
	if err != nil {
		if info.Size() < 4*int64(os.Getpagesize()) {
			return fmt.Errorf("%w: the file has only %d bytes: %w",
				store.ErrDamaged, info.Size(), err)
		}
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("%w: %v", store.ErrDamaged, p)
		}
	}()
	file, err := openFile(path, os.O_RDONLY, 0)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	return db.View(func(tx *bolt.Tx) error {
		if tx.Size() > info.Size() {
			return fmt.Errorf("%w: the file was cut short: it has %d of %d bytes",
				store.ErrDamaged, info.Size(), tx.Size())
		}
		if err := checkPages(file, db.Info().PageSize); err != nil {
			return err
		}
		meta, lanes := tx.Bucket(metaBucket), tx.Bucket(lanesBucket)
		if meta == nil || lanes == nil {
			return fmt.Errorf("%w: it is a bbolt file, but not that of a store", store.ErrDamaged)
		}
		if v := meta.Get(versionKey); string(v) != version {
			return fmt.Errorf("the file has version %q, and this program reads version %q only; "+
				"nothing was changed. Let the program that wrote the file deliver what is "+
				"pending; then stop it and move the file away", v, version)
		}
		if tx.Bucket(namesBucket) == nil || tx.Bucket(sourcesBucket) == nil {
			return fmt.Errorf("%w: it has no names of lanes, or no sources", store.ErrDamaged)
		}
		return lanes.ForEach(func(id, value []byte) error {
			for _, part := range parts {
				if value != nil || lanes.Bucket(id).Bucket([]byte(part)) == nil {
					return fmt.Errorf("%w: lane %x has no %s", store.ErrDamaged, id, part)
				}
			}
			return nil
		})
	})
}

// create makes an empty store at path. It makes the file under another name, so that a crash leaves
// no half of it, and then links it to path, so that only one of two processes succeeds.
func create(dir, path string) error {
	f, err := os.CreateTemp(dir, fileName+".new-*")
	if err != nil {
		return fmt.Errorf("boltstore: creating %s: %w", path, err)
	}
	_ = f.Close() // it is empty, and bbolt opens it anew
	name := f.Name()
	defer func() { _ = os.Remove(name) }() // a file that is left over does no harm
	db, err := bolt.Open(name, 0o600, options())
	if err != nil {
		return fmt.Errorf("boltstore: creating %s: %w", path, err)
	}
	err = db.Update(func(tx *bolt.Tx) error {
		meta, err := tx.CreateBucket(metaBucket)
		if err != nil {
			return err
		}
		for _, name := range [][]byte{lanesBucket, namesBucket, sourcesBucket} {
			if _, err := tx.CreateBucket(name); err != nil {
				return err
			}
		}
		// The clock begins with 1, because Kept 0 means that no store has the entry.
		return errors.Join(
			meta.Put(versionKey, []byte(version)), meta.Put(clockKey, encodeClock(1)))
	})
	if err = errors.Join(err, db.Close()); err != nil {
		return fmt.Errorf("boltstore: creating %s: %w", path, err)
	}
	if err := giveName(name, path); err != nil && !errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("boltstore: creating %s: %w", path, err)
	}
	return syncDir(dir)
}

// giveName gives a file another name. If that is taken, it returns [fs.ErrExist]; on a file system
// without links, the other file is replaced.
func giveName(from, to string) error {
	err := os.Link(from, to)
	if err == nil || errors.Is(err, fs.ErrExist) {
		return err
	}
	return os.Rename(from, to)
}
