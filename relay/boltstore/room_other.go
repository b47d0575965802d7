//go:build !linux

package boltstore

import "os"

// allocate gives a part of the file its blocks.
func allocate(f *os.File, off, n int64) error { return zeros(f, off, n) }
