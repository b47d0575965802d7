//go:build !linux

package boltstore

import "os"

// allocate gives a part of the file blocks on the disk.
func allocate(f *os.File, off, n int64) error { return writeZeros(f, off, n) }
