package main

import (
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"time"
)

// built holds what is made once for a run: programs and full stores.
var built struct {
	mu  sync.Mutex
	dir string
}

// build links the main package in dir, a path from the directory of bench, and returns the path of
// the program. Each package is linked once a run. Work is the value of GOWORK: "" for a module of
// the workspace, "off" for one that stands alone. removeBuilt deletes the
// programs.
func build(dir, work string) (string, error) {
	built.mu.Lock()
	defer built.mu.Unlock()
	if err := makeBuilt(); err != nil {
		return "", err
	}
	program := filepath.Join(built.dir, filepath.Base(dir))
	if _, err := os.Stat(program); err == nil {
		return program, nil
	}
	cmd := exec.Command("go", "build", "-o", program, ".")
	cmd.Dir, cmd.Env = dir, append(os.Environ(), "GOWORK="+work)
	if text, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("go build in %s: %w: %s", dir, err, text)
	}
	return program, nil
}

// makeBuilt makes the directory. built.mu is held.
func makeBuilt() (err error) {
	if built.dir == "" {
		built.dir, err = os.MkdirTemp("", "bench")
	}
	return err
}

func removeBuilt() {
	stopEngine()
	if built.dir != "" {
		_ = os.RemoveAll(built.dir) // it is in the directory for temporary files
	}
}

// freeAddress returns an unused address, for programs that cannot choose one and report it.
func freeAddress() (string, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	return listener.Addr().String(), listener.Close()
}

// listening waits until an address accepts connections.
func listening(address string) error {
	for range 3000 {
		conn, err := net.Dial("tcp", address)
		if err == nil {
			return conn.Close()
		}
		time.Sleep(10 * time.Millisecond)
	}
	return errors.New("nobody listens on " + address + " after half a minute")
}
