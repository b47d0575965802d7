//go:build !linux && !darwin

package boltstore

func freeSpace(string) int64 { return -1 }
