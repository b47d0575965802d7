package main

import (
	"fmt"
	"sync/atomic"

	"github.com/guance-relay/guance-relay/internal/secretfile"
)

// maxTokenFile bounds the size of a token file: some thousand tokens.
const maxTokenFile = 64 << 10

// A tokenFile holds tokens, one per line. It is read again for each webhook, so that every change
// takes effect at once. One read of a small file costs little beside the fsync that follows.
type tokenFile struct {
	path string
	last atomic.Pointer[[]string] // the last good tokens
}

func openTokenFile(path string) (*tokenFile, error) {
	f := &tokenFile{path: path}
	return f, f.check()
}

// tokens returns the tokens of the file, or the last good ones while the file is missing, empty or
// unreadable, as it can be in the middle of a change. Guance promises no second try after a 401, so
// a bad file must not refuse webhooks. To revoke a token, write another one.
func (f *tokenFile) tokens() []string {
	_ = f.check() // secretFiles reports it
	return *f.last.Load()
}

// check reads the file and returns why it holds no tokens.
func (f *tokenFile) check() error {
	tokens, err := secretfile.Lines(f.path, maxTokenFile)
	if err != nil {
		return fmt.Errorf("tokens-file: %w", err)
	}
	f.last.Store(&tokens)
	return nil
}
