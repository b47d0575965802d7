//go:build unix

package main

import "syscall"

// openFiles returns the limit of open files of the process; 0 if it is unknown. Package os has
// raised the soft limit to the hard one.
func openFiles() uint64 {
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		return 0
	}
	return uint64(limit.Cur)
}
