package relayfile

import (
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/guance-relay/guance-relay/internal/secretfile"
)

// maxSecretFile bounds the size of a file of secrets: some thousand tokens.
const maxSecretFile = 64 << 10

var (
	variableName = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)
	// secretCall is a call of the function secret in a template.
	secretCall = regexp.MustCompile("\\bsecret\\s+(?:\"([^\"\\\\]*)\"|`([^`]*)`)")
	// secretHeader are parts of the names of headers whose values may be secrets.
	secretHeader = regexp.MustCompile(`(?i)auth|token|secret|key|cookie|password|credential|sign`)
)

const referRemedy = "put the secret into a variable or a file, and write env:NAME or file:PATH"

// isReference reports whether a text has the form of a reference.
func isReference(s string) bool {
	return strings.HasPrefix(s, "env:") || strings.HasPrefix(s, "file:")
}

// secrets resolves references and remembers what they stand for.
type secrets struct {
	doc    *document
	getenv func(string) string
	values []string
}

// file returns the path of a file that the configuration names. Relative ones begin at the
// directory of the configuration.
func (s *secrets) file(name string) string {
	if filepath.IsAbs(name) {
		return name
	}
	return filepath.Join(filepath.Dir(s.doc.name), name)
}

// all returns the secrets that a reference stands for: one, or the lines of a file.
func (s *secrets) all(p path, ref Secret) ([]string, error) {
	if name, ok := strings.CutPrefix(string(ref), "env:"); ok {
		if !variableName.MatchString(name) {
			return nil, s.doc.errorf(p, "write env: and a name of letters, digits and _",
				"not the name of an environment variable")
		}
		value := strings.TrimSpace(s.getenv(name))
		if value == "" {
			return nil, s.doc.errorf(p, "set it where the server is started",
				"the environment variable %s is not set", name)
		}
		s.values = append(s.values, value)
		return []string{value}, nil
	}
	name, ok := strings.CutPrefix(string(ref), "file:")
	switch {
	case ref == "":
		return nil, s.doc.errorf(p, referRemedy, "is missing")
	case !ok:
		return nil, s.doc.errorf(p, referRemedy, "is not a reference to a secret")
	case name == "":
		return nil, s.doc.errorf(p, "write the path after file:", "the reference names no file")
	}
	lines, err := secretfile.Lines(s.file(name), maxSecretFile)
	if err != nil {
		return nil, s.doc.errorf(p, "correct the file or the path", "%v", err)
	}
	s.values = append(s.values, lines...)
	return lines, nil
}

// one returns the secret that a reference stands for.
func (s *secrets) one(p path, ref Secret) (string, error) {
	lines, err := s.all(p, ref)
	if err != nil {
		return "", err
	}
	if len(lines) > 1 {
		return "", s.doc.errorf(p, "keep one of them", "the file has %d secrets", len(lines))
	}
	return lines[0], nil
}

// redactor returns a function that replaces the secrets in a text. Short ones are not replaced:
// they would be found everywhere.
func (s *secrets) redactor() func(string) string {
	values := slices.Clone(s.values)
	slices.SortFunc(values, func(a, b string) int { return len(b) - len(a) })
	var pairs []string
	for _, v := range values {
		if len(v) >= 4 {
			pairs = append(pairs, v, "***")
		}
	}
	return strings.NewReplacer(pairs...).Replace
}
