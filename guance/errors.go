package guance

import "fmt"

// Limits of one body. They bound work and memory, not taste: Guance documents
// no limit of its own, and messages may embed queries, logs and stack traces.
const (
	// MaxBodySize is the largest body, in bytes. PagerDuty takes 512 KB of one
	// event, so the room is for arrays of them.
	MaxBodySize = 16 << 20
	// MaxDepth is how deep arrays and objects may nest. JSON inside a JSON
	// string starts at zero again.
	MaxDepth = 64
	// MaxEvents is how many events one body may hold.
	MaxEvents = 1000
	// MaxMembers is how many members one event may have, not counting those of
	// objects inside it, and how many a list or an object of texts may have that
	// a field of Event holds. The largest body that is documented has some 70; a
	// body of a mebibyte could have 100,000, for which an event would take
	// fifteen times as much memory.
	MaxMembers = 2000
)

// A SyntaxError says that a body is not JSON although its content type did not
// declare it to be text. No event was decoded; the sender has to correct the
// body, sending it again changes nothing.
type SyntaxError struct {
	// Offset is how many bytes of the body were good, give or take one token.
	// It is an approximation if the body is not valid UTF-8.
	Offset int64
	// Err is the parser's own account; io.ErrUnexpectedEOF for a cut-off body.
	Err error
}

func (e *SyntaxError) Error() string {
	return fmt.Sprintf("guance: the body is not JSON at byte %d: %v; nothing was decoded, correct the sender", e.Offset, e.Err)
}

// Unwrap returns Err.
func (e *SyntaxError) Unwrap() error { return e.Err }

// A Limit names one of the bounds of a body.
type Limit string

// The bounds that Decode keeps.
const (
	LimitSize   Limit = "bytes"
	LimitDepth  Limit = "levels of nesting"
	LimitEvents Limit = "events"
	// LimitMembers is of one event.
	LimitMembers Limit = "members in one event"
)

// A LimitError says that a body exceeds a bound. No event was decoded, not even
// those before the bound: half an accepted body could not be reported to its
// sender.
type LimitError struct {
	Limit Limit // which bound
	Max   int   // its value
}

func (e *LimitError) Error() string {
	return fmt.Sprintf("guance: the body has more than %d %s; nothing was decoded, send it in smaller parts", e.Max, e.Limit)
}
