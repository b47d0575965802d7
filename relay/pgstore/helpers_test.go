package pgstore_test

import (
	"bytes"
	"log/slog"
	"sync"
	"testing"
)

// A buffer takes a log. It is safe for concurrent use.
type buffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

// quiet returns a logger whose lines are shown if the test fails.
func quiet(t testing.TB) *slog.Logger {
	b := &buffer{}
	t.Cleanup(func() {
		if t.Failed() && b.String() != "" {
			t.Log("log:\n" + b.String())
		}
	})
	return slog.New(slog.NewTextHandler(b, nil))
}
