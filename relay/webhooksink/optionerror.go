package webhooksink

import (
	"fmt"
	"regexp"
	"strconv"
)

// An OptionError is what is wrong with the URL or an option of [New]. Problem has no word of a
// secret, and Error has none but for what text/template quotes of a template.
type OptionError struct {
	Option  string // the field of Options, or "URL"
	Line    int    // of the template; 0 if it is not known
	Problem string // what is wrong, such as "is not a header value"
	Err     error  // the error of text/template, or nil
}

func optionError(option, format string, args ...any) error {
	return &OptionError{Option: option, Problem: fmt.Sprintf(format, args...)}
}

// Error implements error.
func (e *OptionError) Error() string {
	text := "Options." + e.Option + " " + e.Problem
	if e.Option == "URL" {
		text = "the URL " + e.Problem
	}
	if e.Err != nil {
		text += ": " + e.Err.Error()
	}
	return text
}

// Unwrap returns Err.
func (e *OptionError) Unwrap() error { return e.Err }

// templateLine is the place in an error of text/template.
var templateLine = regexp.MustCompile(`^template: Options\.Template:(\d+)`)

// templateError returns the error of a template. Its problem quotes nothing of the template.
func templateError(problem string, err error) error {
	e := &OptionError{Option: "Template", Problem: problem, Err: err}
	if m := templateLine.FindStringSubmatch(err.Error()); m != nil {
		e.Line, _ = strconv.Atoi(m[1]) // digits, and few
	}
	return e
}
