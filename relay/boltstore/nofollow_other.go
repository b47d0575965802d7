//go:build !unix

package boltstore

// noFollow does nothing on systems without O_NOFOLLOW. openFile looks for a link before it opens.
const noFollow = 0
