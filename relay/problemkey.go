package relay

import (
	"crypto/sha256"
	"fmt"
	"strings"

	"github.com/guance-relay/guance-relay/guance"
)

// maxKey is the longest problem key that is stored as it is. PagerDuty takes a dedup_key of at most
// 255 characters, and bbolt fails a whole commit because of a key of 32 KiB.
const maxKey = 255

// sourceMark begins whatever identifies a problem or an event of a source that has a name.
const sourceMark = "source:"

// ProblemKey returns the problem key of an event of a source: [store.Entry].Problem. key is
// [guance.Event.ProblemKey]. The result has at most 255 bytes:
//
//	key                       of the source without a name, whose name is ""
//	source:<name>:<key>       of another source
//	sha256:<hex>              a hash in the place of a key that is too long
//	source:<name>:sha256:<hex>
//
// The source without a name has no key that begins with "source:": such a key is hashed too.
// Otherwise it could name the problems of another source.
func ProblemKey(source, key string) string {
	prefix := sourcePrefix(source)
	if len(prefix)+len(key) > maxKey || prefix == "" && strings.HasPrefix(key, sourceMark) {
		key = hashed(key)
	}
	return prefix + key
}

// EventID returns the text that identifies an event of a source when its webhook is sent again:
// [store.Entry].ID. It is empty for an event without df_event_id.
//
// The statuses are part of it, because some senders use one df_event_id for a fault and its
// recovery. The problem key is part of it if the df_event_id is short and not made by Guance. The
// source is part of it as in [ProblemKey].
func EventID(source string, ev *guance.Event) string {
	if strings.Trim(ev.EventID, "0") == "" { // some senders write zero for none
		return ""
	}
	id := ev.EventID + "/" + string(ev.Status) + "/" + string(ev.SubStatus)
	if len(ev.EventID) < uniqueID && !strings.HasPrefix(ev.EventID, "event-") {
		id += "/" + ProblemKey("", ev.ProblemKey())
	}
	prefix := sourcePrefix(source)
	if prefix == "" && strings.HasPrefix(id, sourceMark) {
		id = hashed(id)
	}
	return prefix + id
}

// uniqueID is the length from which an id counts as globally unique, as a UUID is. A shorter one
// that Guance did not make is a number of another system, and two such systems may use the same
// numbers.
const uniqueID = 32

// sourcePrefix returns what the keys of a source begin with. As a name has no colon, no prefix
// begins with another one.
func sourcePrefix(source string) string {
	if source == "" {
		return ""
	}
	return sourceMark + source + ":"
}

// sourceOf returns the source of a problem key.
func sourceOf(problem string) string {
	named, ok := strings.CutPrefix(problem, sourceMark)
	if !ok {
		return ""
	}
	source, _, _ := strings.Cut(named, ":")
	return source
}

func hashed(text string) string { return fmt.Sprintf("sha256:%x", sha256.Sum256([]byte(text))) }
