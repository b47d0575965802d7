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

// Feishu is a relay.Sink that posts each event to a group chat through a custom bot (Feishu Open
// Platform, "Custom bot usage guide";
// https://open.feishu.cn/document/client-docs/bot-v3/add-custom-bot). The address of the webhook is
// as secret as the signing key.
type Feishu struct {
	webhook string
	key     string
	client  *http.Client
}

// NewFeishu returns a sink for a bot with signature verification. Use [Options] for its lane. The
// webhook must have a public address, or one in an allowed network, such as that of a private
// Feishu.
func NewFeishu(webhook, key string, allow ...netip.Prefix) *Feishu {
	return &Feishu{webhook, key, &http.Client{
		Transport: publicOnly(allow),
		// A redirect would send the message, its signature and the chat's address elsewhere.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
}

// Options returns the options of a lane to a custom bot. Every: a chat shows each event. A bot may
// post 100 times a minute and 5 times a second (usage guide, "Precautions"); the burst of a lane is
// a twelfth of PerMinute, so 60 gives 5.
func Options() *relay.SinkOptions {
	return &relay.SinkOptions{EveryEvent: true, PerMinute: 60, Concurrency: 5}
}

// Deliver posts one event.
func (f *Feishu) Deliver(ctx context.Context, d *relay.Delivery) error {
	timestamp := strconv.FormatInt(time.Now().Unix(), 10)
	body, err := json.Marshal(message{
		Timestamp: timestamp, Sign: sign(timestamp, f.key), Type: "post", Content: contentOf(d.Event),
	})
	if err != nil {
		return relay.Permanent(fmt.Errorf("feishu: encoding the message: %w", err))
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, f.webhook, bytes.NewReader(body))
	if err != nil { // err has the address in it
		return relay.Permanent(errors.New("feishu: the webhook address is not a URL"))
	}
	req.Header.Set("Content-Type", "application/json; charset=utf-8")
	resp, err := f.client.Do(req)
	if err != nil { // the *url.Error around it has the address in it
		return fmt.Errorf("feishu: no answer: %w", errors.Unwrap(err))
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(io.LimitReader(resp.Body, 16<<10))
	if err != nil {
		return fmt.Errorf("feishu: status %d, reading the answer: %w", resp.StatusCode, err)
	}
	return result(resp, answer)
}

// sign returns the bot's signature: HMAC-SHA256 of an empty message; the key holds time and secret.
func sign(timestamp, key string) string {
	mac := hmac.New(sha256.New, []byte(timestamp+"\n"+key))
	return base64.StdEncoding.EncodeToString(mac.Sum(nil))
}

// result turns an answer into the error that the lane understands. Only the code in the body
// counts: Feishu sends errors with status 200 too, and a proxy or login page can send any status.
func result(resp *http.Response, body []byte) error {
	var answer struct {
		Code *int   `json:"code"`
		Msg  string `json:"msg"`
	}
	if json.Unmarshal(body, &answer) != nil || answer.Code == nil {
		answer.Code = new(-1) // not an answer of Feishu
	}
	code := *answer.Code
	// The error quotes nothing of the answer: a proxy may repeat the request, which has secrets.
	err := fmt.Errorf("feishu: status %d, code %d: %s", resp.StatusCode, code, meaning(code))
	switch {
	case resp.StatusCode == http.StatusTooManyRequests || code == 11232 ||
		// Seen in practice; in the guide 9499 is "Bad Request" only.
		code == 9499 && strings.Contains(strings.ToLower(answer.Msg), "too many"):
		seconds, _ := strconv.Atoi(resp.Header.Get("Retry-After")) // with 0 the lane chooses
		return relay.RetryAfter(err, time.Duration(max(seconds, 0))*time.Second)
	case resp.StatusCode/100 == 2 && code == 0:
		return nil
	case code == 9499 || code == 19024: // about this message
		return relay.Permanent(err)
	}
	// Address, key or settings of the bot are wrong, or Feishu did not answer: tried again.
	return err
}

func meaning(code int) string {
	switch code {
	case -1:
		return "the answer is not from Feishu"
	case 9499:
		return "the request is malformed"
	case 11232:
		return "too many messages"
	case 19001:
		return "the webhook address is wrong"
	case 19021:
		return "the signature does not match, or the clock is wrong by more than an hour"
	case 19022:
		return "the bot does not allow this IP address"
	case 19024:
		return "the message has none of the bot's keywords"
	}
	return "see the bot's usage guide"
}
