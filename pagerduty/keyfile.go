package pagerduty

import (
	"fmt"
	"sync"

	"github.com/guance-relay/guance-relay/internal/secretfile"
)

// KeyFile is a [KeySource] that reads one routing key from a file, such as a mounted secret. It
// reads the file for every event, so a rotation of the key needs no restart. It is safe for
// concurrent use.
//
// The key stands on a line of its own, with or without white space around it. Blank lines and lines
// that begin with # are ignored. The file has at most 4096 bytes. It is UTF-8, with or without a
// byte order mark, or UTF-16 with one.
type KeyFile struct {
	path string

	mu   sync.Mutex
	last RoutingKey // guarded by mu: the last good key
}

// maxKeyFile is the largest file that is read: room for a key and comments.
const maxKeyFile = 4096

// OpenKeyFile returns a KeyFile for the file at path. It fails if the file has no valid key.
func OpenKeyFile(path string) (*KeyFile, error) {
	f := &KeyFile{path: path}
	if err := f.Check(); err != nil {
		return nil, err
	}
	return f, nil
}

// Key returns the key that the file has now. It reads the file on every call, since a file's time
// and size do not show a change within one tick of the file system's clock.
//
// While the file is missing or has no key, for example during a rotation, Key returns the last good
// key. It fails only if there never was one. Check reports what is wrong.
func (f *KeyFile) Key() (RoutingKey, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if err := f.read(); err != nil && f.last.IsZero() {
		return RoutingKey{}, err
	}
	return f.last, nil
}

// Check reads the file and reports why it has no usable key. Call it in a health check: Key hides
// such an error as long as it has an older key.
func (f *KeyFile) Check() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.read()
}

// read must be called with mu held.
func (f *KeyFile) read() error {
	lines, err := secretfile.Lines(f.path, maxKeyFile)
	if err != nil {
		return fmt.Errorf("pagerduty: routing key file: %w", err)
	}
	if len(lines) > 1 {
		return fmt.Errorf("pagerduty: routing key file %s has %d lines that are not comments; it must "+
			"hold one key and nothing else", f.path, len(lines))
	}
	key, err := ParseRoutingKey(lines[0])
	if err != nil {
		return fmt.Errorf("%w (from file %s)", err, f.path)
	}
	f.last = key
	return nil
}

// String returns the path and the fingerprint of the last good key.
func (f *KeyFile) String() string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return fmt.Sprintf("KeyFile(%s, %s)", f.path, f.last.Fingerprint())
}
