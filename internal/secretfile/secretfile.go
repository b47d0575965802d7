// Package secretfile reads files with one secret per line, as people and tools write them: with
// comments, with a byte order mark, in UTF-16.
package secretfile

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"unicode"
	"unicode/utf8"

	textunicode "golang.org/x/text/encoding/unicode"
	"golang.org/x/text/transform"
)

// Lines returns the secrets in a file, one per line. It removes white space around a secret, and
// ignores blank lines and lines that begin with #, also after white space. The file is UTF-8, or
// begins with a byte order mark of UTF-8 or UTF-16.
//
// It is an error if the file has no secret, is larger than max bytes, is not a regular file, or is
// not text. White space inside a secret is an error too: usually it is a comment behind the secret.
// Errors name the file and the line, and repeat nothing of the content.
func Lines(path string, max int64) ([]string, error) {
	content, err := read(path, max)
	if err != nil {
		return nil, err
	}
	// The mark decides the encoding: with `>`, Windows PowerShell 5.1 writes UTF-16 with a mark, and
	// older editors write UTF-8 with one.
	text, _, err := transform.Bytes(textunicode.BOMOverride(transform.Nop), content)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	switch {
	case bytes.IndexByte(text, 0) >= 0:
		return nil, fmt.Errorf("%s holds zero bytes: it is not text, or it is UTF-16 without a byte "+
			"order mark; save it as UTF-8", path)
	case !utf8.Valid(text) || bytes.ContainsRune(text, utf8.RuneError):
		return nil, fmt.Errorf("%s is not UTF-8; save it as UTF-8", path)
	}
	var secrets []string
	number := 0
	for line := range strings.Lines(newlines.Replace(string(text))) {
		number++
		line = strings.TrimSpace(line)
		switch {
		case line == "" || strings.HasPrefix(line, "#"):
		case strings.ContainsFunc(line, unprintable):
			return nil, fmt.Errorf("%s, line %d: there is white space or an invisible character inside a "+
				"secret; write one secret on each line, and a comment on a line of its own that begins with #",
				path, number)
		default:
			secrets = append(secrets, line)
		}
	}
	if len(secrets) == 0 {
		return nil, fmt.Errorf("%s holds no secret; write one on a line of its own", path)
	}
	return secrets, nil
}

// newlines replaces every kind of line end.
var newlines = strings.NewReplacer("\r\n", "\n", "\r", "\n")

// read returns the content of a regular file. It refuses pipes and terminals: reading could block,
// and works only once.
func read(path string, max int64) ([]byte, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%s is not a regular file", path)
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	content, err := io.ReadAll(io.LimitReader(f, max+1))
	if err = errors.Join(err, f.Close()); err != nil {
		return nil, err
	}
	if int64(len(content)) > max {
		return nil, fmt.Errorf("%s has more than %d bytes, which is too many for a file of secrets",
			path, max)
	}
	return content, nil
}

// unprintable reports whether a secret cannot hold r. U+FEFF is a byte order mark in the middle of
// a file, left there by joining two files.
func unprintable(r rune) bool { return !unicode.IsGraphic(r) || unicode.IsSpace(r) }
