package boltstore

import (
	"errors"
	"os"
	"syscall"
)

// allocate gives a part of the file blocks on the disk.
func allocate(f *os.File, off, n int64) error {
	for {
		err := syscall.Fallocate(int(f.Fd()), 0, off, n)
		switch {
		case errors.Is(err, syscall.EINTR):
			continue
		case errors.Is(err, syscall.EOPNOTSUPP), errors.Is(err, syscall.ENOSYS):
			return writeZeros(f, off, n)
		}
		return err
	}
}
