package main

import (
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"sync"
	"time"
)

// built is what was made for this run: programs, and stores that are full.
var built struct {
	mu  sync.Mutex
	dir string
}

// build makes a main package of this workspace and returns where the program is. Each is linked once; removeBuilt ends it.
func build(pkg string) (string, error) {
	built.mu.Lock()
	defer built.mu.Unlock()
	if err := makeBuilt(); err != nil {
		return "", err
	}
	program := filepath.Join(built.dir, path.Base(pkg))
	if _, err := os.Stat(program); err == nil {
		return program, nil
	}
	if text, err := exec.Command("go", "build", "-o", program, pkg).CombinedOutput(); err != nil {
		return "", fmt.Errorf("go build %s: %w: %s", pkg, err, text)
	}
	return program, nil
}

// makeBuilt makes the directory of what is made for this run. The mu is held.
func makeBuilt() (err error) {
	if built.dir == "" {
		built.dir, err = os.MkdirTemp("", "bench")
	}
	return err
}

func removeBuilt() {
	if built.dir != "" {
		_ = os.RemoveAll(built.dir) // in the directory for such things; nothing hangs on it
	}
}

// freeAddress returns an address that nobody listens on, for programs that cannot say which one they took.
func freeAddress() (string, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	return listener.Addr().String(), listener.Close()
}

// listening waits until somebody listens on an address.
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
