package boltstore

import (
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"syscall"
)

// makeDir creates dir with mode 0700, and syncs the directories above it.
func makeDir(dir string, log *slog.Logger) error {
	info, err := os.Stat(dir)
	if err == nil {
		switch {
		case !info.IsDir():
			return fmt.Errorf("boltstore: %s is not a directory", dir)
		case info.Mode().Perm()&0o002 != 0 && info.Mode()&fs.ModeSticky == 0 &&
			runtime.GOOS != "windows":
			// Provisioners of volumes create such directories: rancher/local-path-provisioner#182,
			// kubernetes-sigs/nfs-subdir-external-provisioner#41.
			log.Warn("boltstore: every user of this machine may remove or replace the store's "+
				"file; chmod o-w the directory, or use another one if there are other users",
				"directory", dir, "mode", info.Mode().String())
		}
		return nil // its mode is the administrator's; the file is private anyway
	}
	var made []string
	for d := filepath.Clean(dir); ; d = filepath.Dir(d) {
		if _, err := os.Stat(d); err == nil || d == filepath.Dir(d) {
			break
		}
		made = append(made, d)
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("boltstore: creating the directory: %w", err)
	}
	for _, d := range made {
		if err := syncDir(filepath.Dir(d)); err != nil {
			return err
		}
	}
	return nil
}

// syncDir makes the names in dir durable. Windows needs no sync for that.
func syncDir(dir string) error {
	if runtime.GOOS == "windows" {
		return nil
	}
	d, err := os.Open(dir)
	if err == nil {
		err = errors.Join(d.Sync(), d.Close())
	}
	if err != nil && !errors.Is(err, syscall.EINVAL) { // the file system has no such sync
		return fmt.Errorf("boltstore: syncing the directory %s: %w", dir, err)
	}
	return nil
}
