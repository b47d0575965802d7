package main

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"github.com/guance-relay/guance-relay/relay"
)

// Feishu is a relay.Sink that posts each event to a group chat through a custom bot (Feishu Open Platform, "Custom bot usage guide";
// https://open.feishu.cn/document/client-docs/bot-v3/add-custom-bot). The webhook's address is a secret as much as the signing key.
type Feishu struct {
	webhook string
	key     string
	client  *http.Client
}

// NewFeishu returns a sink for a bot with signature verification. Its lane should say what [Options] say. The webhook must be at a public
// address, or in one of the networks that are allowed besides: those of a Feishu of one's own, for instance.
func NewFeishu(webhook, key string, allow ...netip.Prefix) *Feishu {
	return &Feishu{webhook, key, &http.Client{
		Transport: outside(allow),
		// A redirect would take the message, its signature and the address of the chat elsewhere.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
}

// Options are those of a lane to a custom bot: a chat wants each event, and a bot may post 100 times a minute and 5 times a second
// (usage guide, "Precautions"). A lane's burst is a twelfth of its minute: with 60 it is 5.
func Options() *relay.SinkOptions {
	return &relay.SinkOptions{EveryEvent: true, PerMinute: 60, Concurrency: 5}
}

// Deliver posts one event.
func (f *Feishu) Deliver(ctx context.Context, d *relay.Delivery) error {
	timestamp := strconv.FormatInt(time.Now().Unix(), 10)
	body, err := json.Marshal(message{Timestamp: timestamp, Sign: sign(timestamp, f.key), Type: "post", Content: contentOf(d.Event)})
	if err != nil {
		return relay.Permanent(fmt.Errorf("feishu: encoding the message: %w", err))
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, f.webhook, bytes.NewReader(body))
	if err != nil {
		return relay.Permanent(errors.New("feishu: the webhook address is not a URL")) // err would print it
	}
	req.Header.Set("Content-Type", "application/json; charset=utf-8")
	resp, err := f.client.Do(req)
	if err != nil {
		return fmt.Errorf("feishu: no answer: %w", errors.Unwrap(err)) // the *url.Error around it prints the address
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(io.LimitReader(resp.Body, 16<<10))
	if err != nil {
		return fmt.Errorf("feishu: status %d, and the answer broke off: %w", resp.StatusCode, err)
	}
	return verdict(resp, answer)
}

// sign is the bot's signature: HMAC-SHA256 of nothing at all, under the time and the key. DingTalk's is of the same text under the key.
func sign(timestamp, key string) string {
	return base64.StdEncoding.EncodeToString(hmac.New(sha256.New, []byte(timestamp+"\n"+key)).Sum(nil))
}

// verdict tells the lane what an answer means. Feishu says most of it by a code in the body, with status 200 or 400, and its code alone
// decides: a login page has status 200 too, and a proxy's 403 says nothing of the message.
func verdict(resp *http.Response, body []byte) error {
	var answer struct {
		Code *int   `json:"code"`
		Msg  string `json:"msg"`
	}
	if json.Unmarshal(body, &answer) != nil || answer.Code == nil {
		answer.Code = new(-1) // not Feishu's: a proxy, a login page
	}
	code := *answer.Code
	// The error has no word of the answer: what stands between may quote the request, and that has secrets in it.
	err := fmt.Errorf("feishu: status %d, code %d: %s", resp.StatusCode, code, meaning(code))
	switch {
	case resp.StatusCode == http.StatusTooManyRequests || code == 11232 ||
		code == 9499 && strings.Contains(strings.ToLower(answer.Msg), "too many"): // seen in the field; the guide has 9499 for bad requests alone
		seconds, _ := strconv.Atoi(resp.Header.Get("Retry-After")) // 0 lets the lane choose
		return relay.RetryAfter(err, time.Duration(max(seconds, 0))*time.Second)
	case resp.StatusCode/100 == 2 && code == 0:
		return nil
	case code == 9499 || code == 19024:
		return relay.Permanent(err) // it is about this message
	}
	return err // the address, the key or the bot's settings are wrong, or it is not Feishu who answers: tried again until it is put right
}

func meaning(code int) string {
	switch code {
	case -1:
		return "the answer is not Feishu's"
	case 9499:
		return "the request is malformed"
	case 11232:
		return "sent too much"
	case 19001:
		return "the webhook address is wrong"
	case 19021:
		return "the signature does not match, or the clock is off by more than an hour"
	case 19022:
		return "the bot does not allow this IP address"
	case 19024:
		return "the message has none of the bot's keywords"
	}
	return "see the bot's usage guide"
}
