package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime/pprof"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// roleVariable makes the bench's own binary a server of a contest, in a process of its own.
const roleVariable = "BENCH_ROLE"

// profileVariable names the directory in which each role leaves a profile of its processor time.
const profileVariable = "BENCH_PROFILE"

// roles are the servers. Each prints its base URL as a line and serves until standard input ends.
var roles = map[string]func() error{}

func play(role string) error {
	serve := roles[role]
	if serve == nil {
		return fmt.Errorf("no role %q", role)
	}
	dir := os.Getenv(profileVariable)
	if dir == "" {
		return serve()
	}
	f, err := os.CreateTemp(dir, role+"-*.pprof")
	if err != nil {
		return err
	}
	if err := pprof.StartCPUProfile(f); err != nil {
		return err
	}
	err = serve()
	pprof.StopCPUProfile()
	return errors.Join(err, f.Close())
}

// untilInputEnds is how long a role lasts: it ends with the process that started it, however that
// ends.
func untilInputEnds() {
	for {
		if _, err := os.Stdin.Read(make([]byte, 1)); err != nil {
			return
		}
	}
}

// A process is a server, a peer or a target.
type process struct {
	cmd   *exec.Cmd
	url   string
	in    io.Closer
	out   *bufio.Reader
	ended sync.Once

	role bool // it ends with its input
}

// actor starts the bench's own binary in a role; it ends with b.
func actor(b testing.TB, role string, env ...string) (*process, error) {
	exe, err := os.Executable()
	if err != nil {
		return nil, err
	}
	cmd := exec.Command(exe)
	cmd.Env = append(os.Environ(), append(env, roleVariable+"="+role)...)
	p, err := start(b, cmd)
	if err != nil {
		return nil, err
	}
	line, err := p.out.ReadString('\n')
	if err != nil {
		return nil, fmt.Errorf("%s did not start: %w", role, err)
	}
	p.role = true
	p.url = strings.TrimSpace(line)
	return p, nil
}

// start starts a program; it ends with b.
func start(b testing.TB, cmd *exec.Cmd) (*process, error) {
	stdin, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if cmd.Stderr == nil {
		cmd.Stderr = os.Stderr
	}
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	p := &process{cmd: cmd, in: stdin, out: bufio.NewReader(stdout)}
	b.Cleanup(p.end)
	return p, nil
}

// end ends the process and waits for it, once.
func (p *process) end() {
	p.ended.Do(func() {
		_ = p.in.Close() // which ends a role
		if !p.role {
			_ = p.cmd.Process.Signal(syscall.SIGTERM)
		}
		late := time.AfterFunc(15*time.Second, func() { _ = p.cmd.Process.Kill() })
		_ = p.cmd.Wait() // how it ends is no figure
		late.Stop()
	})
}

// cpu returns the processor time that the process has taken, to ten milliseconds.
func (p *process) cpu() time.Duration {
	// The command's name comes second, in parentheses, and may hold anything; the times are the
	// 12th and 13th field after it.
	_, rest, _ := strings.Cut(readString(fmt.Sprintf("/proc/%d/stat", p.cmd.Process.Pid)), ") ")
	fields := strings.Fields(rest)
	if len(fields) < 13 {
		return 0
	}
	user, _ := strconv.Atoi(fields[11])
	system, _ := strconv.Atoi(fields[12])
	// USER_HZ is 100 on every Linux that Go runs on
	return time.Duration(user+system) * (time.Second / 100)
}

// ownCPU returns the processor time that this process has taken.
func ownCPU() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		panic(err) // there is no such error for oneself
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// memory returns a figure of the process in bytes: VmRSS is what it holds, VmHWM the most that it
// held.
func (p *process) memory(name string) int64 {
	for line := range strings.Lines(readString(fmt.Sprintf("/proc/%d/status", p.cmd.Process.Pid))) {
		if rest, ok := strings.CutPrefix(line, name+":"); ok {
			kib, _ := strconv.ParseInt(strings.TrimSpace(strings.TrimSuffix(strings.TrimSpace(rest),
				"kB")), 10, 64)
			return kib << 10
		}
	}
	return 0
}
