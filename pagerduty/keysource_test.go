package pagerduty_test

import (
	"errors"
	"sync"
	"testing"

	"github.com/guance-relay/guance-relay/pagerduty"
	"github.com/guance-relay/guance-relay/pagerduty/pagerdutytest"
)

// source is a KeySource with a key that the test sets.
type source struct {
	mu  sync.Mutex
	key pagerduty.RoutingKey
	err error
}

func (s *source) Key() (pagerduty.RoutingKey, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.key, s.err
}

func (s *source) say(key pagerduty.RoutingKey, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.key, s.err = key, err
}

// A source may have no key for a while, by an error or an empty key. Until it has one nothing is
// sent, and the error is not the event's. The first event after that goes out under the new key.
func TestSourceWithoutAKey(t *testing.T) {
	for name, none := range map[string]error{"an empty key": nil,
		"an error": errors.New("being rotated")} {
		t.Run(name, func(t *testing.T) {
			fake := pagerdutytest.NewTransport()
			s := &source{key: routingKey(t, secret)}
			client, err := pagerduty.NewClient(s, &pagerduty.Options{Transport: fake})
			if err != nil {
				t.Fatal(err)
			}
			before := client.Account()
			s.say(pagerduty.RoutingKey{}, none)
			_, alert := client.Send(t.Context(), trigger("a"))
			_, change := client.SendChange(t.Context(), &pagerduty.ChangeEvent{Summary: "deployed"})
			for what, err := range map[string]error{"alert": alert, "change event": change} {
				e, ok := errors.AsType[*pagerduty.Error](err)
				if !ok || e.Class != pagerduty.ClassConfig || e.Permanent() || e.Hint == "" {
					t.Errorf("%s: got %v, want an error of the configuration that is tried again", what, err)
				}
				if none != nil && !errors.Is(err, none) {
					t.Errorf("%s: %v does not hold the source's own error", what, err)
				}
			}
			if n := len(fake.Requests()); n != 0 {
				t.Errorf("%d requests without a key", n)
			}
			if account := client.Account(); account != "" {
				t.Errorf("the account is %q although there is no key", account)
			}
			s.say(routingKey(t, otherSecret), nil)
			if _, err := client.Send(t.Context(), trigger("a")); err != nil {
				t.Fatal(err)
			}
			if got, want := fake.Requests()[0].Key, pagerdutytest.KeyLabel(otherSecret); got != want {
				t.Errorf("the event goes out under %s, want the new key, %s", got, want)
			}
			if account := client.Account(); account == "" || account == before {
				t.Errorf("the account is %q, and was %q under another key", account, before)
			}
		})
	}
}

// A source without a key at the start is an error of NewClient.
func TestNewClientWantsAKey(t *testing.T) {
	for name, s := range map[string]pagerduty.KeySource{
		"no source": nil, "the zero key": pagerduty.RoutingKey{}, "a source of an empty key": &source{},
		"a source that fails": &source{err: errors.New("no")},
	} {
		if _, err := pagerduty.NewClient(s, nil); err == nil {
			t.Errorf("%s: NewClient takes it", name)
		}
	}
}
