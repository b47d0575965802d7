package webhooksink

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"github.com/guance-relay/guance-relay/relay"
)

const secretPrefix = "whsec_"

// A signer sets the headers of Standard Webhooks.
type signer func(h http.Header, id string, at time.Time, body []byte)

// newSigner returns a signer with secrets, of which there may be none. Its errors tell which
// secret is wrong by its place in the list.
func newSigner(secrets []string) (signer, error) {
	var keys []*standardwebhooks.Webhook
	for i, secret := range secrets {
		encoded, ok := strings.CutPrefix(secret, secretPrefix)
		if !ok {
			return nil, optionError("Secrets", "has no %s at the beginning of number %d", secretPrefix, i+1)
		}
		raw, err := base64.StdEncoding.DecodeString(encoded)
		if err != nil {
			return nil, optionError("Secrets", "has no base64 after %s in number %d", secretPrefix, i+1)
		}
		if len(raw) < 24 || len(raw) > 64 {
			return nil, optionError("Secrets", "has %d bytes in number %d, and Standard Webhooks "+
				"demand 24 to 64", len(raw), i+1)
		}
		key, err := standardwebhooks.NewWebhookRaw(raw)
		if err != nil {
			return nil, optionError("Secrets", "has a secret that cannot be used: number %d", i+1)
		}
		keys = append(keys, key)
	}
	return func(h http.Header, id string, at time.Time, body []byte) {
		h.Set(standardwebhooks.HeaderWebhookID, id)
		h.Set(standardwebhooks.HeaderWebhookTimestamp, strconv.FormatInt(at.Unix(), 10))
		var signatures []string
		for _, key := range keys {
			if signature, err := key.Sign(id, at, body); err == nil { // which never fails
				signatures = append(signatures, signature)
			}
		}
		if len(signatures) > 0 {
			h.Set(standardwebhooks.HeaderWebhookSignature, strings.Join(signatures, " "))
		}
	}, nil
}

// idOf returns the webhook-id, which is the same at each attempt to send one entry. The sequence
// number alone would come again in a store that begins anew.
func idOf(d *relay.Delivery) string {
	h := sha256.New()
	fmt.Fprintf(h, "%q %d %q %q", d.Lane, d.Seq, d.Problem, relay.EventID(d.Source, d.Event))
	return "msg_" + hex.EncodeToString(h.Sum(nil)[:16])
}
