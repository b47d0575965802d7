package relay

import (
	"bytes"
	"context"
)

// What decoding makes of a body is bounded too, before it begins. A usual webhook takes its weight from the handler's room. One that is
// large, in bytes or in what they hold, takes one of a few places instead and waits for it, so that neither it is refused nor those that are not
// large: 64 bodies of a mebibyte with 100,000 short names each made more than half a gigabyte when all were decoded at once.
const (
	// eventWeight is what an event takes beside its part of the body, roughly.
	eventWeight = 2 << 10
	// memberWeight is what a member of an event takes: its place in a map that has grown by doubling, and its name.
	memberWeight = 128
	// largeWeight is where a body counts as large.
	largeWeight = 256 << 10
	// largeAtOnce large bodies are decoded and kept at once. One of a mebibyte takes 15 MiB at most.
	largeAtOnce = 2
)

// weight is what decoding a body takes beside the body, at most and without the events themselves: there are no more members than commas.
func weight(body []byte) int64 { return int64(1+bytes.Count(body, []byte(","))) * memberWeight }

// admit waits until a body may be decoded, and returns what to call once the webhook is done with.
func (h *Handler) admit(ctx context.Context, body []byte, held *hold) (done func(), no *refusal) {
	w := weight(body)
	if int64(len(body))+w <= largeWeight {
		if !held.take(w) {
			return nil, busy()
		}
		return func() {}, nil
	}
	select {
	case h.large <- struct{}{}:
		return func() { <-h.large }, nil
	case <-ctx.Done():
		return nil, busy()
	}
}
