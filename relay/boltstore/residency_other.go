//go:build !linux

package boltstore

import bolt "go.etcd.io/bbolt"

// residency does nothing on systems where it was not measured: see residency_linux.go.
type residency struct{}

func (*residency) touched(int64)    {}
func (*residency) trim(*bolt.DB)    {}
func (*residency) release(*bolt.DB) {}
