package relay

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/guance-relay/guance-relay/relay/store"
)

// behaving is an error with every behaviour that a lane looks for, each of which may say no.
type behaving struct {
	ignored, permanent, throttled bool
	after                         time.Duration
}

func (behaving) Error() string               { return "words" }
func (behaving) Remedy() string              { return "remedy" }
func (b behaving) Ignored() bool             { return b.ignored }
func (b behaving) Permanent() bool           { return b.permanent }
func (b behaving) Throttled() bool           { return b.throttled }
func (b behaving) RetryAfter() time.Duration { return b.after }

// It is what the methods return that counts, and not that an error has them.
func TestResultOf(t *testing.T) {
	tests := map[string]struct {
		err       error
		outcome   store.Outcome
		throttled bool
		delay     time.Duration
	}{
		"no error":   {nil, store.Delivered, false, 0},
		"none of it": {behaving{}, 0, false, 0},
		"ignored":    {behaving{ignored: true}, store.Ignored, false, 0},
		"permanent":  {behaving{permanent: true}, store.Dead, false, 0},
		"throttled":  {behaving{throttled: true}, 0, true, 0},
		"throttled for a time": {behaving{throttled: true, after: time.Minute}, 0, true,
			time.Minute},
		"asked to come back":    {behaving{after: time.Minute}, 0, true, time.Minute},
		"without any behaviour": {errors.New("words"), 0, false, 0},
		"refused, and to come back": {behaving{permanent: true, after: time.Minute},
			store.Dead, false, 0},
		"ignored, and to come back": {behaving{ignored: true, after: time.Minute},
			store.Ignored, false, 0},
		"ignored before refused": {behaving{ignored: true, permanent: true}, store.Ignored, false, 0},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			err := test.err
			if err != nil {
				err = fmt.Errorf("sending: %w", err)
			}
			r := resultOf(err)
			if r.Outcome != test.outcome || r.Throttled != test.throttled || r.delay != test.delay {
				t.Errorf("got %v, throttled %v for %v; want %v, %v for %v", r.Outcome, r.Throttled, r.delay,
					test.outcome, test.throttled, test.delay)
			}
			if r.Failed() != (test.outcome == 0 && !test.throttled) {
				t.Errorf("it counts as a failure of the target: %v", r.Failed())
			}
		})
	}
}
