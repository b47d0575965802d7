package pagerduty

import (
	"fmt"
	"sync"

	"github.com/guance-relay/guance-relay/internal/secretfile"
)

// KeyFile is a [KeySource] that follows a file holding one routing key, as
// mounted secrets do: a rotation needs no restart. It is safe for concurrent
// use.
//
// The key stands on a line of its own, with white space around it if need be.
// Blank lines and lines that begin with # are comments. The file is UTF-8, with
// or without a byte order mark, or UTF-16 with one, and at most 4096 bytes
// long.
type KeyFile struct {
	path string

	mu   sync.Mutex
	last RoutingKey // guarded by mu: the last good key
}

// maxKeyFile bounds what is read: a key, comments, and generous white space.
const maxKeyFile = 4096

// OpenKeyFile reads the key in the file at path.
func OpenKeyFile(path string) (*KeyFile, error) {
	f := &KeyFile{path: path}
	if err := f.Check(); err != nil {
		return nil, err
	}
	return f, nil
}

// Key returns the key the file holds now. It reads the file on every call: one
// page from memory, next to a request on the network. The time and size of a
// file do not tell a change within one tick of the file system's clock.
//
// While the file is missing or holds no key, as it may halfway through a
// rotation, Key keeps returning the last good one: a page under the old key
// is worth more than none. Check tells of it. Key fails only if there never was
// a good one.
func (f *KeyFile) Key() (RoutingKey, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if err := f.read(); err != nil && f.last.IsZero() {
		return RoutingKey{}, err
	}
	return f.last, nil
}

// Check reads the file and reports why it holds no usable key, which Key
// passes over as long as it has an older one. A health check may call it.
func (f *KeyFile) Check() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.read()
}

// read is called with mu held.
func (f *KeyFile) read() error {
	lines, err := secretfile.Lines(f.path, maxKeyFile)
	if err != nil {
		return fmt.Errorf("pagerduty: routing key file: %w", err)
	}
	if len(lines) > 1 {
		return fmt.Errorf("pagerduty: routing key file %s has %d lines that are no comment; it must hold one key and nothing else", f.path, len(lines))
	}
	key, err := ParseRoutingKey(lines[0])
	if err != nil {
		return fmt.Errorf("%w (from file %s)", err, f.path)
	}
	f.last = key
	return nil
}

// String names the file and the fingerprint of the last good key.
func (f *KeyFile) String() string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return fmt.Sprintf("KeyFile(%s, %s)", f.path, f.last.Fingerprint())
}
