package webhook

import (
	"errors"
	"net/http"
	"os"
)

// A Refusal is any answer to a webhook other than 202. The message holds no secret, path or
// address.
type Refusal struct {
	Code       int
	Reason     string // for programs, where the code is not enough
	Message    string // for people
	RetryAfter int    // in seconds; set for codes from 500
	Cause      error  // for the log alone
}

func (r *Refusal) Error() string { return r.Message }

func refuse(code int, message string) *Refusal { return &Refusal{Code: code, Message: message} }

func busy() *Refusal {
	return &Refusal{
		Code: http.StatusServiceUnavailable, Reason: "busy", RetryAfter: 5,
		Message: "too many webhooks at once; nothing was kept, send it again",
	}
}

func tooLarge() *Refusal {
	return refuse(http.StatusRequestEntityTooLarge,
		"the body is larger than the limit; nothing was kept")
}

// readRefusal returns the refusal for an error of reading a body.
func readRefusal(err error) *Refusal {
	if refusal, ok := errors.AsType[*Refusal](err); ok {
		return refusal
	}
	if _, ok := errors.AsType[*http.MaxBytesError](err); ok {
		return tooLarge()
	}
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return refuse(http.StatusRequestTimeout,
			"the body did not arrive in time; nothing was kept, send it again")
	}
	return refuse(http.StatusBadRequest,
		"the body did not arrive whole, or is not the gzip that Content-Encoding promises")
}
