package guance

import "fmt"

// The limits of one body. They bound work and memory. Guance documents no limits, and messages may
// have queries, logs and stack traces in them.
const (
	// MaxBodySize is the largest body, in bytes. It leaves room for arrays of events: PagerDuty takes
	// 512 KB of one event.
	MaxBodySize = 16 << 20
	// MaxDepth is the deepest nesting of arrays and objects. JSON inside a JSON string starts at zero
	// again.
	MaxDepth = 64
	// MaxEvents is the largest number of events in one body.
	MaxEvents = 1000
	// MaxMembers is the largest number of members of one event, without those of inner objects, and of
	// elements in a list or object that a field of Event holds. The largest documented body has some
	// 70. A body of one mebibyte could have 100,000 members, and the event would take fifteen times as
	// much memory.
	MaxMembers = 2000
)

// A SyntaxError says that a body is not JSON, and that its content type is not text/plain. No event
// was decoded. Sending the body again does not help.
type SyntaxError struct {
	// Offset is the number of bytes before the error, give or take one token. It is an approximation
	// if the body is not valid UTF-8.
	Offset int64
	// Err is the parser's error; io.ErrUnexpectedEOF for a body that is cut off.
	Err error
}

func (e *SyntaxError) Error() string {
	return fmt.Sprintf("guance: the body is not JSON at byte %d: %v; "+
		"nothing was decoded, correct the sender", e.Offset, e.Err)
}

// Unwrap returns Err.
func (e *SyntaxError) Unwrap() error { return e.Err }

// A Limit names one limit of a body.
type Limit string

// The limits of Decode.
const (
	LimitSize   Limit = "bytes"
	LimitDepth  Limit = "levels of nesting"
	LimitEvents Limit = "events"
	// LimitMembers applies to one event.
	LimitMembers Limit = "members in one event"
)

// A LimitError says that a body exceeds a limit. No event was decoded, not even those before the
// limit: a sender cannot be told that half of its body was accepted.
type LimitError struct {
	Limit Limit // which bound
	Max   int   // its value
}

func (e *LimitError) Error() string {
	return fmt.Sprintf("guance: the body has more than %d %s; "+
		"nothing was decoded, send it in smaller parts", e.Max, e.Limit)
}
