package webhooksink

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"sync/atomic"
	"time"

	"github.com/guance-relay/guance-relay/relay"
)

// maxResponse is how much of the body of a response is read.
const maxResponse = 64 << 10

// A Sink is a relay.Sink that posts each event to one URL. It is safe for concurrent use.
type Sink struct {
	name string // what errors begin with
	site string // scheme and host, for people
	// target returns copies of the URL and the headers. Inside a function, fmt cannot print them,
	// whatever structure the sink is a part of.
	target  func() (*url.URL, http.Header)
	client  *http.Client
	format  *Format // nil: a payload, or what a template makes of it
	body    func(Payload) ([]byte, error)
	sign    signer
	every   bool
	account string
}

var (
	_ relay.EveryEvent   = (*Sink)(nil)
	_ relay.AccountNamer = (*Sink)(nil)
)

// New returns a sink that posts to rawURL, which is http or https. A user and password in the URL
// become basic authentication. An error has no word of the URL or of a secret.
func New(rawURL string, opts *Options) (*Sink, error) {
	if opts == nil {
		opts = &Options{}
	}
	s, err := newSink(strings.TrimSpace(rawURL), opts)
	if err != nil {
		return nil, fmt.Errorf("webhooksink: %w", err)
	}
	return s, nil
}

func newSink(rawURL string, opts *Options) (s *Sink, err error) {
	if err := opts.check(); err != nil {
		return nil, err
	}
	s = &Sink{name: "webhooksink", format: opts.Format, every: !opts.NewestOnly}
	header, err := cleanHeaders(opts.Headers)
	if err != nil {
		return nil, err
	}
	address, err := parseURL(rawURL, header)
	if err != nil {
		return nil, err
	}
	s.site = address.Scheme + "://" + address.Host
	s.target = func() (*url.URL, http.Header) { return new(*address), header.Clone() }
	s.client = opts.Client
	if s.client == nil {
		allowed, err := guard(opts.AllowedNetworks)
		if err != nil {
			return nil, err
		}
		if err := checkHost(address, allowed); err != nil {
			return nil, err
		}
		s.client = newClient(allowed)
	}
	s.client = withoutRedirects(s.client)
	if s.sign, err = newSigner(opts.Secrets); err != nil {
		return nil, err
	}
	contentType := "application/json"
	switch {
	case opts.Format != nil:
		s.name += ": " + opts.Format.name
		contentType += "; charset=utf-8" // DingTalk demands UTF-8 (custom robot, "使用自定义机器人")
		sum := sha256.Sum256([]byte(address.String()))
		s.account = opts.Format.name + " " + hex.EncodeToString(sum[:8])
	case opts.Template != "":
		s.body, err = parseTemplate(opts.Template, opts.ContentType == "")
	default:
		s.body = func(p Payload) ([]byte, error) { return encode(p) }
	}
	if opts.ContentType != "" {
		contentType = opts.ContentType
	}
	header.Set("Content-Type", contentType)
	if header.Get("User-Agent") == "" {
		header.Set("User-Agent", "guance-relay")
	}
	return s, err
}

// parseURL returns the URL without what is not sent in the request line. It moves a user and
// password to the header.
func parseURL(raw string, h http.Header) (*url.URL, error) {
	u, err := url.Parse(raw)
	if err != nil { // which would print it
		return nil, optionError("URL", "cannot be parsed")
	}
	if u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "" {
		return nil, optionError("URL", "has to begin with http:// or https:// and a host")
	}
	if u.User != nil {
		if h.Get("Authorization") != "" {
			return nil, optionError("URL",
				"has a user, and Options.Headers has Authorization: give one of them")
		}
		password, _ := u.User.Password()
		h.Set("Authorization", "Basic "+
			base64.StdEncoding.EncodeToString([]byte(u.User.Username()+":"+password)))
	}
	u.User, u.Fragment, u.RawFragment = nil, "", ""
	return u, nil
}

// withoutRedirects returns a copy of a client that follows none: a redirect would take the event,
// its signature and the headers elsewhere.
func withoutRedirects(c *http.Client) *http.Client {
	copied := *c
	copied.CheckRedirect = func(*http.Request, []*http.Request) error {
		return http.ErrUseLastResponse
	}
	return &copied
}

// EveryEvent implements [relay.EveryEvent]: each event is sent, unless Options.NewestOnly is set.
func (s *Sink) EveryEvent() bool { return s.every }

// Account implements [relay.AccountNamer]: lanes to one webhook of a chat share its budget.
// Without a format it is "", and each lane has its own.
func (s *Sink) Account() string { return s.account }

// LaneOptions returns options for a lane to this target, with the rate that the target of a format
// allows. The caller may change them.
func (s *Sink) LaneOptions() *relay.SinkOptions {
	if s.format == nil {
		return &relay.SinkOptions{}
	}
	// A lane's burst is a twelfth of its minute: with 60 it is 5.
	return &relay.SinkOptions{PerMinute: s.format.perMinute, Concurrency: 5}
}

// String tells the scheme and host of the target, and no secret.
func (s *Sink) String() string {
	return s.name + " to " + s.site
}

// GoString is String, so that %#v prints no secret either.
func (s *Sink) GoString() string { return s.String() }

// LogValue is String, for log/slog.
func (s *Sink) LogValue() slog.Value { return slog.StringValue(s.String()) }

// Deliver implements [relay.Sink] with one request. It logs the status and the webhook_id.
func (s *Sink) Deliver(ctx context.Context, d *relay.Delivery) error {
	now := time.Now()
	body, err := s.bodyOf(d, now)
	if err != nil {
		return relay.Permanent(fmt.Errorf("%s: the body cannot be made: %w", s.name, err))
	}
	if err := d.Wait(ctx); err != nil {
		return err
	}
	var sent atomic.Bool
	newBody := func() (io.ReadCloser, error) { return &sentBody{bytes.NewReader(body), &sent}, nil }
	address, header := s.target()
	req := (&http.Request{
		Method: http.MethodPost, URL: address, Host: header.Get("Host"), Header: header,
		Body: &sentBody{bytes.NewReader(body), &sent}, ContentLength: int64(len(body)),
		GetBody: newBody, // net/http sends again if the target has closed an idle connection
	}).WithContext(ctx)
	header.Del("Host") // net/http sends req.Host
	attrs := []slog.Attr{}
	if s.format == nil {
		id := idOf(d)
		s.sign(header, id, now, body)
		attrs = append(attrs, slog.String("webhook_id", id))
	} else if s.format.sign != nil {
		s.format.sign(address, now)
	}
	resp, err := s.client.Do(req)
	if err != nil {
		return noAnswer(ctx, s.name, err, sent.Load())
	}
	defer resp.Body.Close()
	res := response{status: resp.StatusCode, header: resp.Header}
	res.body, err = io.ReadAll(io.LimitReader(resp.Body, maxResponse))
	var read func(response) result
	if s.format != nil {
		if err != nil && res.status/100 == 2 { // the part that decides is missing
			return noAnswer(ctx, s.name, err, true)
		}
		read = s.format.read
	}
	if err := classify(res, read).err(s.name, res); err != nil {
		return err
	}
	d.LogAttrs(append(attrs, slog.Int("status", res.status))...)
	return nil
}

// Reach connects to the target as Deliver does, and returns the status with which it answers HEAD:
// no target takes that for an event. Any status shows that the target can be reached. Its errors
// are those of Deliver.
func (s *Sink) Reach(ctx context.Context) (status int, err error) {
	address, header := s.target()
	req := (&http.Request{
		Method: http.MethodHead, URL: address, Host: header.Get("Host"), Header: make(http.Header),
	}).WithContext(ctx)
	resp, err := s.client.Do(req)
	if err != nil {
		return 0, noAnswer(ctx, s.name, err, false)
	}
	_ = resp.Body.Close() // HEAD has none
	return resp.StatusCode, nil
}

// bodyOf returns the body of a request.
func (s *Sink) bodyOf(d *relay.Delivery, now time.Time) ([]byte, error) {
	if s.format != nil {
		return encode(s.format.body(messageOf(d.Event), now))
	}
	return s.body(payloadOf(d))
}

// A sentBody remembers whether any of it may be on the wire. Every transport reads it only once
// it has a connection.
type sentBody struct {
	body *bytes.Reader
	sent *atomic.Bool
}

// Read implements io.Reader.
func (b *sentBody) Read(p []byte) (int, error) {
	b.sent.Store(true)
	return b.body.Read(p)
}

// Close implements io.Closer.
func (b *sentBody) Close() error { return nil }
