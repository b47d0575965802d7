//go:build unix

package boltstore

import "syscall"

const noFollow = syscall.O_NOFOLLOW
