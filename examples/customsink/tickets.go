package main

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/guance-relay/guance-relay/guance"
	"github.com/guance-relay/guance-relay/relay"
)

// Tickets is a relay.Sink for the API of a ticket system: PUT /tickets/{id} opens or changes a
// ticket, and DELETE /tickets/{id} closes it. The method depends on the event, which
// relay/webhooksink does not offer. The id is the problem key, so that a repeated request changes
// nothing.
type Tickets struct {
	url    string // without a slash at the end
	token  string
	client *http.Client
}

// NewTickets returns a sink for the API at url. It is safe for concurrent use.
func NewTickets(url, token string) *Tickets {
	return &Tickets{url, token, &http.Client{
		// A redirect would take the token elsewhere.
		CheckRedirect: func(*http.Request,
			[]*http.Request) error {
			return http.ErrUseLastResponse
		},
	}}
}

// A ticket is the body of a PUT.
type ticket struct {
	Title    string `json:"title"`
	Text     string `json:"text"`
	Priority string `json:"priority"`
	Link     string `json:"link,omitempty"`
}

// Ignores returns why an event opens and closes no ticket, or "". The relay asks when it accepts
// the event, so that such an event never takes the place of one that does.
func (t *Tickets) Ignores(e *guance.Event) string {
	if e.State() == guance.StateNeither {
		return "the event does not say whether there is a problem"
	}
	return ""
}

// Deliver sends one request.
func (t *Tickets) Deliver(ctx context.Context, d *relay.Delivery) error {
	e, method, body := d.Event, http.MethodPut, []byte(nil)
	if reason := t.Ignores(e); reason != "" {
		return relay.Ignore(reason)
	}
	if e.State() == guance.StateRecovered {
		method = http.MethodDelete
	} else {
		var err error
		body, err = json.Marshal(ticket{
			cmp.Or(e.Title, e.CheckerName, "an event without a title"), e.Message,
			e.Level().String(), e.Link(),
		})
		if err != nil {
			return relay.Permanent(err)
		}
	}
	address := t.url + "/tickets/" + url.PathEscape(d.Problem)
	req, err := http.NewRequestWithContext(ctx, method, address, bytes.NewReader(body))
	if err != nil {
		return fmt.Errorf("tickets: the address of the API is not a URL: %w", err)
	}
	req.Header.Set("Authorization", "Bearer "+t.token)
	req.Header.Set("Content-Type", "application/json")
	resp, err := t.client.Do(req)
	if err != nil {
		return fmt.Errorf("tickets: no answer: %w", errors.Unwrap(err)) // without the URL
	}
	defer resp.Body.Close()
	_, _ = io.CopyN(io.Discard, resp.Body, 16<<10) // so that the connection can be used again
	return verdict(method, resp)
}

// verdict tells the lane what the status means. It does not quote the answer, which may quote the
// token.
func verdict(method string, resp *http.Response) error {
	err := fmt.Errorf("tickets: %s was answered with status %d", method, resp.StatusCode)
	switch status := resp.StatusCode; {
	case status/100 == 2, method == http.MethodDelete && status == http.StatusNotFound:
		return nil // a ticket that is not there is closed
	case status == http.StatusTooManyRequests:
		seconds, _ := strconv.Atoi(resp.Header.Get("Retry-After")) // 0 lets the lane choose
		return relay.RetryAfter(err, time.Duration(max(seconds, 0))*time.Second)
	case status == http.StatusBadRequest, status == http.StatusUnprocessableEntity:
		return relay.Permanent(err) // it is about this event
	}
	return err // a failure of the API or of its configuration: tried again
}
