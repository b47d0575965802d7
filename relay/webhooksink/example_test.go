package webhooksink_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/netip"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"github.com/guance-relay/guance-relay/guance"
	"github.com/guance-relay/guance-relay/relay"
	"github.com/guance-relay/guance-relay/relay/memstore"
	"github.com/guance-relay/guance-relay/relay/webhooksink"
)

// A service of one's own verifies the signature and drops what it has seen.
func Example() {
	const secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
	receiver, err := standardwebhooks.NewWebhook(secret)
	if err != nil {
		panic(err)
	}
	seen := make(map[string]bool)
	target := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil || receiver.Verify(body, r.Header) != nil {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		if id := r.Header.Get("webhook-id"); !seen[id] {
			seen[id] = true
			var p webhooksink.Payload
			err = json.Unmarshal(body, &p)
			fmt.Println(p.Type, p.State, p.Level, p.Problem, p.Data.Title, err)
		}
		w.WriteHeader(http.StatusNoContent)
	}))
	defer target.Close()

	sink, err := webhooksink.New(target.URL, &webhooksink.Options{
		Secrets:         []string{secret},
		AllowedNetworks: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}, // for this example
	})
	if err != nil {
		panic(err)
	}
	d := &relay.Delivery{Problem: "disk", Event: &guance.Event{
		Status: guance.StatusCritical, Title: "the disk is full",
	}}
	for range 2 { // the relay sends again what it has no answer to
		fmt.Println(sink.Deliver(context.Background(), d))
	}
	// Output:
	// guance.problem problem critical disk the disk is full <nil>
	// <nil>
	// <nil>
}

// A Feishu group has what is an error or worse, at the rate that a bot may post at.
func ExampleFeishu() {
	const webhook = "https://open.feishu.cn/open-apis/bot/v2/hook/b1946ac9" // a secret: from a file
	r, err := relay.New(memstore.New(), nil)
	if err != nil {
		panic(err)
	}
	chat, err := webhooksink.New(webhook, &webhooksink.Options{
		Format: webhooksink.Feishu("nIMtb7r3N9pkXyXdtAbx6e"),
	})
	if err != nil {
		panic(err)
	}
	opts := chat.LaneOptions()
	opts.Match = relay.AtLeast(guance.LevelError)
	r.Handle("chat", chat, opts)
	fmt.Println(chat)
	// Output: webhooksink: feishu to https://open.feishu.cn
}

// A template makes the body that another target demands.
func ExampleOptions_template() {
	target := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		fmt.Println(string(body), err)
	}))
	defer target.Close()

	sink, err := webhooksink.New(target.URL, &webhooksink.Options{
		Template: `{"content": {{json (printf "%s: %s" .Level .Data.Title)}},
 "host": {{json .Data.DimensionTags.host}}}`,
		AllowedNetworks: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}, // for this example
	})
	if err != nil {
		panic(err)
	}
	err = sink.Deliver(context.Background(), &relay.Delivery{Event: &guance.Event{
		Status: guance.StatusCritical, Title: `disk "/" is full`,
		DimensionTags: map[string]string{"host": "web001"},
	}})
	fmt.Println(err)
	// Output:
	// {"content": "critical: disk \"/\" is full",
	//  "host": "web001"} <nil>
	// <nil>
}
