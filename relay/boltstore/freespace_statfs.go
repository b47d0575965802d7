//go:build linux || darwin

package boltstore

import "syscall"

// freeSpace returns how many bytes the disk of a directory has left for this process; -1 if that is
// not known.
func freeSpace(dir string) int64 {
	var fs syscall.Statfs_t
	if err := syscall.Statfs(dir, &fs); err != nil {
		return -1
	}
	return int64(fs.Bavail) * int64(fs.Bsize)
}
