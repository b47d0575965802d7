package boltstore

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"syscall"
	"time"

	bolt "go.etcd.io/bbolt"
	berrors "go.etcd.io/bbolt/errors"

	"github.com/guance-relay/guance-relay/relay/store"
)

const (
	fileName = "relay.db"
	// lockWait: a process that is being replaced may still be closing.
	lockWait = time.Second
)

// openFile opens the file in dir, making both if need be.
func (s *Store) openFile(dir string) error {
	if err := s.makeDir(dir); err != nil {
		return err
	}
	s.path = filepath.Join(dir, fileName)
	info, err := os.Lstat(s.path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		err = create(dir, s.path)
	case err == nil && info.Mode()&fs.ModeSymlink != 0:
		// Where anybody may write, somebody else's link would have the store lock, or write, a file of their choice.
		err = fmt.Errorf("boltstore: %s is a symbolic link, which is not followed; nothing was changed. "+
			"Give the store the directory that the link points into", s.path)
	case err == nil && !info.Mode().IsRegular():
		err = fmt.Errorf("boltstore: %s is not a regular file (mode %v); nothing was changed", s.path, info.Mode())
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
	opts.OpenFile = func(name string, flag int, mode os.FileMode) (*os.File, error) {
		f, err := openFile(name, flag, mode)
		s.file = f
		return f, err
	}
	s.db, err = openBolt(s.path, opts)
	if err != nil {
		if s.file != nil {
			_ = s.file.Close() // bbolt that panicked has left the file open and locked; if it did not, this is closed already
		}
		return s.explain(err)
	}
	if s.info, err = s.file.Stat(); err != nil {
		return errors.Join(fmt.Errorf("boltstore: looking at %s: %w", s.path, err), s.db.Close())
	}
	if s.info.Mode().Perm()&^0o600 != 0 && runtime.GOOS != "windows" {
		// Events name hosts and customers. Volumes that are shared by a group come with wider modes, and some take no other.
		if err := s.file.Chmod(0o600); err != nil {
			s.log.Warn("boltstore: others may read the store's file, and that cannot be changed", "file", s.path, "mode", s.info.Mode().String(),
				"error", err.Error())
		}
	}
	return nil
}

func options() *bolt.Options {
	return &bolt.Options{Timeout: lockWait, NoFreelistSync: true, FreelistType: bolt.FreelistMapType, OpenFile: openFile}
}

// openFile follows no symbolic link in the place of the file.
func openFile(name string, flag int, mode os.FileMode) (*os.File, error) {
	return os.OpenFile(name, flag|noFollow, mode)
}

// explain says what an error of opening means and what to do.
func (s *Store) explain(err error) error {
	switch {
	case errors.Is(err, berrors.ErrTimeout):
		return fmt.Errorf("boltstore: %s is locked: %w, mostly by another process; stop that, or give this one a directory of its own", s.path, ErrLocked)
	case errors.Is(err, berrors.ErrInvalid), errors.Is(err, berrors.ErrChecksum), errors.Is(err, berrors.ErrVersionMismatch):
		err = fmt.Errorf("%w: %w", store.ErrDamaged, err)
	}
	if errors.Is(err, store.ErrDamaged) {
		return fmt.Errorf("boltstore: %s: %w; nothing was changed. Move it away to start empty, and keep it for repair: docs/durability.md says how", s.path, err)
	}
	return fmt.Errorf("boltstore: opening %s: %w", s.path, err)
}

// openBolt opens a bbolt file. bbolt panics over pages that make no sense, and reading beyond the end of a map faults.
func openBolt(path string, opts *bolt.Options) (db *bolt.DB, err error) {
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		if p := recover(); p != nil {
			db, err = nil, fmt.Errorf("%w: %v", store.ErrDamaged, p)
		}
	}()
	return bolt.Open(path, 0o600, opts)
}

// inspect looks at the whole structure of the file before it is opened for writing: bbolt follows it in a goroutine whose panics nobody
// can catch. Events themselves are not read; a damaged one shows when it is loaded.
func inspect(path string) (err error) {
	info, err := os.Stat(path)
	if err != nil {
		return err
	}
	if info.Size() == 0 {
		return fmt.Errorf("%w: the file is empty", store.ErrDamaged)
	}
	opts := options()
	opts.ReadOnly = true // maps the file and reads no more than its first two pages
	db, err := openBolt(path, opts)
	if err != nil {
		if info.Size() < 4*int64(os.Getpagesize()) {
			return fmt.Errorf("%w: the file has only %d bytes: %w", store.ErrDamaged, info.Size(), err)
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
			return fmt.Errorf("%w: it has %d bytes, and %d were written: it was cut short", store.ErrDamaged, info.Size(), tx.Size())
		}
		if err := checkGraph(file, db.Info().PageSize); err != nil {
			return err
		}
		meta := tx.Bucket(metaBucket)
		if meta == nil || tx.Bucket(lanesBucket) == nil {
			return fmt.Errorf("%w: it is a bbolt file, but not of a relay", store.ErrDamaged)
		}
		if v := meta.Get(versionKey); string(v) != version {
			return fmt.Errorf("the file has version %q, and this program knows version %q alone; nothing was changed. "+
				"Let the program that wrote it deliver what is pending; then stop it and move the file away", v, version)
		}
		return tx.Bucket(lanesBucket).ForEach(func(lane, value []byte) error {
			for _, part := range parts {
				if value != nil || laneBucket(tx, string(lane)).Bucket([]byte(part)) == nil {
					return fmt.Errorf("%w: lane %q has no %s", store.ErrDamaged, lane, part)
				}
			}
			return nil
		})
	})
}

// makeDir makes dir, 0700, and makes sure that it is not forgotten.
func (s *Store) makeDir(dir string) error {
	info, err := os.Stat(dir)
	if err == nil {
		switch {
		case !info.IsDir():
			return fmt.Errorf("boltstore: %s is not a directory", dir)
		case info.Mode().Perm()&0o002 != 0 && info.Mode()&fs.ModeSticky == 0 && runtime.GOOS != "windows":
			// Provisioners of volumes make them so: rancher/local-path-provisioner#182, nfs-subdir-external-provisioner#41.
			s.log.Warn("boltstore: anybody on this machine may remove the store's file, or put another one in its place: chmod o-w the directory, "+
				"or choose another one if other users work here", "directory", dir, "mode", info.Mode().String())
		}
		return nil // it may be somebody's volume: its mode is left alone, the file is private anyway
	}
	var made []string
	for d := filepath.Clean(dir); ; d = filepath.Dir(d) {
		if _, err := os.Stat(d); err == nil || d == filepath.Dir(d) {
			break
		}
		made = append(made, d)
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("boltstore: making the directory: %w", err)
	}
	for _, d := range made {
		if err := syncDir(filepath.Dir(d)); err != nil {
			return err
		}
	}
	return nil
}

// create makes an empty store at path. It comes into being under another name, and whole, so that a crash leaves no file that is neither
// empty nor a store; and as a link, so that of two processes one makes it.
func create(dir, path string) error {
	f, err := os.CreateTemp(dir, fileName+".new-*")
	if err != nil {
		return fmt.Errorf("boltstore: making %s: %w", path, err)
	}
	name := f.Name()
	defer func() { _ = os.Remove(name) }() // what is left over harms nobody
	if err := f.Close(); err != nil {
		return fmt.Errorf("boltstore: making %s: %w", path, err)
	}
	db, err := bolt.Open(name, 0o600, options())
	if err != nil {
		return fmt.Errorf("boltstore: making %s: %w", path, err)
	}
	err = db.Update(func(tx *bolt.Tx) error {
		meta, err := tx.CreateBucket(metaBucket)
		if err != nil {
			return err
		}
		if _, err := tx.CreateBucket(lanesBucket); err != nil {
			return err
		}
		// The time begins with 1, as 0 is that of an entry that no store has kept.
		return errors.Join(meta.Put(versionKey, []byte(version)), meta.Put(clockKey, encodeClock(1)))
	})
	if err = errors.Join(err, db.Close()); err != nil {
		return fmt.Errorf("boltstore: making %s: %w", path, err)
	}
	if err := os.Link(name, path); err != nil && !errors.Is(err, fs.ErrExist) {
		// A file system without links. Two processes that start at once for the first time are the administrator's concern there.
		if err := os.Rename(name, path); err != nil {
			return fmt.Errorf("boltstore: making %s: %w", path, err)
		}
	}
	return syncDir(dir)
}

// syncDir makes sure that the names in dir are not forgotten. Windows does so by itself.
func syncDir(dir string) error {
	if runtime.GOOS == "windows" {
		return nil
	}
	d, err := os.Open(dir)
	if err == nil {
		err = errors.Join(d.Sync(), d.Close())
	}
	if err != nil && !errors.Is(err, syscall.EINVAL) { // of a file system that has no such thing
		return fmt.Errorf("boltstore: syncing the directory %s: %w", dir, err)
	}
	return nil
}
