// Package torn makes the files that a crash of the machine may leave.
//
// [Record] runs a program under strace and returns what it did to one file and what it wrote to its standard output, in order. A [Disk] plays
// that back. At any point of it, [Disk.Crash] returns a content that the file may have after a power cut: all that was synced, and of each
// write since then the new bytes, the old ones, or some sectors of either.
//
// It is a real program on a real file system that is recorded, system calls and all, so that nothing of it has to be built to be tested. What a
// file system promises beyond fsync is not counted on; that a sector is written whole or not at all is.
package torn
