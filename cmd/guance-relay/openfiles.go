package main

import "log/slog"

// filesReserve is how many files the server needs besides its connections: the store, two
// listeners, operator connections, connections to PagerDuty, log, secret files, name resolution.
const filesReserve = 100

// affordable returns how many connections fit into the limit of open files. Beyond that limit,
// accept fails, and so does everything else that opens a file. Zero files: the limit is unknown.
func affordable(connections int, files uint64, log *slog.Logger) int {
	if files == 0 || files >= uint64(connections)+filesReserve {
		return connections
	}
	fewer := 2
	if files > filesReserve+2 {
		fewer = int(files - filesReserve)
	}
	log.Warn("max-connections is lowered to fit the limit of open files; raise that limit "+
		"(ulimit -n, LimitNOFILE)", "max-connections", connections, "lowered", fewer, "files", files)
	return fewer
}
