package boltstore

import (
	"os"
	"syscall"
)

// freeSpace returns how many bytes the file system of f has for this user, if that is known.
func freeSpace(f *os.File) (bytes int64, known bool) {
	var s syscall.Statfs_t
	if syscall.Fstatfs(int(f.Fd()), &s) != nil {
		return 0, false
	}
	return int64(s.Bavail) * int64(s.Bsize), true
}
