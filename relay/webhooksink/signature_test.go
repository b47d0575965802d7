package webhooksink_test

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"github.com/guance-relay/guance-relay/guance"
	"github.com/guance-relay/guance-relay/relay"
	"github.com/guance-relay/guance-relay/relay/webhooksink"
)

// A signature is the HMAC-SHA256 of id, time and body (Standard Webhooks, "Signature scheme"),
// once for each secret.
func TestSignature(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sent := sendTo(t, "https://example.com", webhooksink.Options{
			Secrets: []string{hookSecret, oldSecret},
		}, delivery())
		id, at := sent.header.Get("webhook-id"), sent.header.Get("webhook-timestamp")
		if at != fmt.Sprint(time.Now().Unix()) {
			t.Errorf("the timestamp is %q, want that of the attempt", at)
		}
		var want []string
		for _, secret := range []string{hookSecret, oldSecret} {
			key, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(secret, "whsec_"))
			if err != nil {
				t.Fatal(err)
			}
			mac := hmac.New(sha256.New, key)
			fmt.Fprintf(mac, "%s.%s.%s", id, at, sent.body)
			want = append(want, "v1,"+base64.StdEncoding.EncodeToString(mac.Sum(nil)))

			receiver, err := standardwebhooks.NewWebhook(secret)
			if err != nil {
				t.Fatal(err)
			}
			if err := receiver.Verify([]byte(sent.body), sent.header); err != nil {
				t.Errorf("the library does not verify the request: %v", err)
			}
			if receiver.Verify([]byte(sent.body+" "), sent.header) == nil {
				t.Error("the library verifies a body that was changed")
			}
		}
		if got := sent.header.Get("webhook-signature"); got != strings.Join(want, " ") {
			t.Errorf("the signature is %q, want %q", got, want)
		}
	})
}

func TestOneSecretIsOneSignature(t *testing.T) {
	sent := sendTo(t, "https://example.com", webhooksink.Options{
		Secrets: []string{hookSecret},
	}, delivery())
	if got := sent.header.Get("webhook-signature"); strings.Count(got, "v1,") != 1 {
		t.Errorf("the signature is %q, want one", got)
	}
}

func TestWithoutSecretNothingIsSigned(t *testing.T) {
	sent := sendTo(t, "https://example.com", webhooksink.Options{}, delivery())
	if sent.header.Get("webhook-signature") != "" || sent.header.Get("webhook-id") == "" {
		t.Errorf("the headers are %v, want an id and no signature", sent.header)
	}
}

// The id is the same for each attempt of an entry, whatever the time, and another for any other
// entry.
func TestWebhookID(t *testing.T) {
	id := func(d relay.Delivery) string {
		return sendTo(t, "https://example.com", webhooksink.Options{}, &d).header.Get("webhook-id")
	}
	first := *delivery()
	want := id(first)
	later := first
	later.Attempt, later.Accepted = 5, first.Accepted.Add(time.Hour)
	if got := id(later); got != want {
		t.Errorf("a later attempt has the id %q, and the first %q", got, want)
	}
	if strings.Contains(want, ".") || !strings.HasPrefix(want, "msg_") {
		t.Errorf("the id is %q, want msg_ and no full stop", want)
	}
	for name, change := range map[string]func(*relay.Delivery){
		"lane":     func(d *relay.Delivery) { d.Lane = "other" },
		"sequence": func(d *relay.Delivery) { d.Seq++ },
		"problem":  func(d *relay.Delivery) { d.Problem = "other" },
		"event": func(d *relay.Delivery) {
			d.Event = &guance.Event{EventID: "event-2", Status: guance.StatusCritical}
		},
	} {
		other := first
		change(&other)
		if got := id(other); got == want {
			t.Errorf("another %s has the same id", name)
		}
	}
}
