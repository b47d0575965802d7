package pagerdutytest

import (
	"mime"
	"net/http"
	"time"
)

// process returns PagerDuty's response to a request. It checks first what a front end can see, then
// the routing key, then the rate limit, then the event. It must be called with mu held.
func (f *Fake) process(x *exchange, now time.Time) response {
	r, e := &x.request, x.event
	switch {
	case r.Path != alertPath && r.Path != changePath:
		return textResponse(http.StatusNotFound, "Not Found")
	case r.Method != http.MethodPost:
		return notAllowed()
	case !isJSON(r.Header.Get("Content-Type")):
		return textResponse(http.StatusUnsupportedMediaType, "Unsupported Media Type")
	case r.Size > maxBody:
		return textResponse(http.StatusRequestEntityTooLarge, "Request Entity Too Large")
	case e == nil:
		return unreadable()
	case e.blank("routing_key"):
		return invalid("'routing_key' is missing or blank")
	}
	key := e.text("routing_key")
	if errors := keyErrors(key); len(errors) > 0 {
		return invalid(errors...)
	}
	if f.accepted != nil && !f.accepted[identify(key)] || r.Path == changePath && key[0] == 'R' {
		return invalidKey()
	}
	l := f.keyState(key)
	if !l.take(now, f.limit) {
		return throttled()
	}
	if r.Path == changePath {
		if errors := changeErrors(e); len(errors) > 0 {
			return invalid(errors...)
		}
		f.applyChange(e, now)
		return changeAccepted()
	}
	if errors := alertErrors(e); len(errors) > 0 {
		return invalid(errors...)
	}
	dedupKey, applied := f.applyAlert(l, e, now)
	r.Dropped = !applied
	return accepted(dedupKey)
}

func isJSON(contentType string) bool {
	media, _, err := mime.ParseMediaType(contentType)
	return err == nil && media == jsonType
}
