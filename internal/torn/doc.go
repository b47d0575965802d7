// Package torn makes files as a crash of the machine may leave them.
//
// [Record] runs a program under strace. It returns what the program did to one file and what it
// wrote to its standard output, in order. A [Disk] replays that. At any point [Disk.Crash] returns
// a content that the file may have after a power cut: everything that was synced, and of each later
// write the new bytes, the old bytes, or a mixture by sectors.
//
// The recorded program is a real one on a real file system, so no program has to be built for the
// test. The model relies on fsync, and on a disk that writes a sector completely or not at all. It
// relies on nothing else that a file system promises.
package torn
