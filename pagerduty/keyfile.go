package pagerduty

import (
	"fmt"
	"os"
	"sync"
	"time"
)

// KeyFile is a [KeySource] that follows a file holding one routing key, as
// mounted secrets do: the key is read again when the file changes, so that a
// rotation needs no restart.
type KeyFile struct {
	path string

	// mu guards what follows.
	mu      sync.Mutex
	key     RoutingKey
	size    int64
	changed time.Time
}

// maxKeyFile bounds what is read: a key, and generous white space.
const maxKeyFile = 4096

// OpenKeyFile reads the key in the file at path, trimmed of white space.
func OpenKeyFile(path string) (*KeyFile, error) {
	f := &KeyFile{path: path}
	if _, err := f.Key(); err != nil {
		return nil, err
	}
	return f, nil
}

// Key returns the key the file holds now. It looks at the file's time and
// size on every call and reads it only when one of them changed.
//
// While the file is missing or holds no key, as it may halfway through a
// rotation, Key keeps returning the last good one: a page under the old key
// is worth more than none. It fails only if there never was a good one.
func (f *KeyFile) Key() (RoutingKey, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if err := f.read(); err != nil && f.key.IsZero() {
		return RoutingKey{}, err
	}
	return f.key, nil
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
	info, err := os.Stat(f.path)
	if err != nil {
		return fmt.Errorf("pagerduty: routing key file: %w", err)
	}
	if !f.key.IsZero() && info.Size() == f.size && info.ModTime().Equal(f.changed) {
		return nil
	}
	if info.Size() > maxKeyFile {
		return fmt.Errorf("pagerduty: routing key file %s has %d bytes; it must hold one key and nothing else", f.path, info.Size())
	}
	text, err := os.ReadFile(f.path)
	if err != nil {
		return fmt.Errorf("pagerduty: routing key file: %w", err)
	}
	key, err := ParseRoutingKey(string(text))
	if err != nil {
		return fmt.Errorf("%w (from file %s)", err, f.path)
	}
	f.key, f.size, f.changed = key, info.Size(), info.ModTime()
	return nil
}

// String names the file and the key's fingerprint.
func (f *KeyFile) String() string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return fmt.Sprintf("KeyFile(%s, %s)", f.path, f.key.Fingerprint())
}
