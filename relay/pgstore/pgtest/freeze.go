//go:build unix

package pgtest

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
)

// Freeze stops all processes of the server, so that it holds its connections and answers nothing.
// It needs /proc. Thaw ends it.
func (s *Server) Freeze() error { return s.signal(syscall.SIGSTOP) }

// Thaw lets the processes of a frozen server go on.
func (s *Server) Thaw() error { return s.signal(syscall.SIGCONT) }

// signal signals the first process of the server, which makes all others, and then those.
func (s *Server) signal(sig syscall.Signal) error {
	file, err := os.ReadFile(filepath.Join(s.data(), "postmaster.pid"))
	if err != nil {
		return fmt.Errorf("pgtest: %w", err)
	}
	line, _, _ := strings.Cut(string(file), "\n")
	first, err := strconv.Atoi(line)
	if err != nil {
		return fmt.Errorf("pgtest: postmaster.pid: %w", err)
	}
	if err := syscall.Kill(first, sig); err != nil {
		return fmt.Errorf("pgtest: process %d: %w", first, err)
	}
	stats, err := filepath.Glob("/proc/[0-9]*/stat")
	if err != nil || len(stats) == 0 {
		return errors.New("pgtest: there is no /proc")
	}
	for _, path := range stats {
		stat, err := os.ReadFile(path)
		if err != nil {
			continue // it has ended
		}
		// pid (name) state parent …
		pid, rest, _ := strings.Cut(string(stat), " ")
		fields := strings.Fields(rest[strings.LastIndex(rest, ")")+1:])
		if len(fields) > 1 && fields[1] == line {
			child, _ := strconv.Atoi(pid)
			_ = syscall.Kill(child, sig) // it may have ended
		}
	}
	return nil
}
