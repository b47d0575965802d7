//go:build !unix

package boltstore

// noFollow is nothing where there is no such flag: the look at the file before it is opened has to do.
const noFollow = 0
