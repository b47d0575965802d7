package schedule

import "github.com/guance-relay/guance-relay/relay/store"

// A Result is how an attempt ended.
type Result struct {
	Outcome    store.Outcome // 0: the entry is to be sent again
	Throttled  bool          // the target was too busy, as with a 429; it is no failure
	HandedBack bool          // the relay ended the attempt; it is no failure
	AnswerLost bool          // a request got no answer; the target may handle it later
	Reason     string
}

// Failed reports whether the target did not take the event, for a reason that is neither about the
// event nor about the rate of requests.
func (r *Result) Failed() bool { return r.Outcome == 0 && !r.Throttled && !r.HandedBack }
