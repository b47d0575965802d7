package pagerduty

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"os"
	"sync"
	"time"
)

// Client sends events under one routing key. It is safe for concurrent use, starts no goroutine,
// and needs no Close.
type Client struct {
	core    *core
	key     KeySource
	limiter Limiter // nil: core.windows has one for each key
}

// core is what all copies of a client share.
type core struct {
	alertURL     *url.URL // …/v2/enqueue
	changeURL    *url.URL // …/v2/change/enqueue
	transport    http.RoundTripper
	stdTransport bool   // transport is an *http.Transport, which reports its connections to httptrace
	proxy        string // host and port of the proxy that the default transport uses; "": none

	retries         int
	throttleRetries int
	timeout         time.Duration // of one attempt; negative: none
	acceptAny2xx    bool
	maxRetryAfter   time.Duration
	source          string
	severity        Severity
	log             *slog.Logger
	telemetry       *telemetry

	// perMinute < 0: no limit. windows has one *window for each RoutingKey that was used, because
	// PagerDuty counts requests per key, whichever copy of the client sends them.
	perMinute int
	windows   sync.Map
}

// NewClient returns a client that sends under key: a [RoutingKey] or any other [KeySource]. It
// makes no connection. The error names the option that is not valid.
func NewClient(key KeySource, opts *Options) (*Client, error) {
	if _, err := currentKey(key); err != nil {
		return nil, err
	}
	if opts == nil {
		opts = new(Options)
	}
	c, err := newCore(opts)
	if err != nil {
		return nil, err
	}
	return &Client{core: c, key: key, limiter: opts.Limiter}, nil
}

func newCore(opts *Options) (*core, error) {
	base, err := baseURL(opts)
	if err != nil {
		return nil, err
	}
	c := &core{
		alertURL:        base.JoinPath(alertPath),
		changeURL:       base.JoinPath(changePath),
		transport:       opts.Transport,
		retries:         orDefault(opts.Retries, defaultRetries),
		throttleRetries: max(opts.ThrottleRetries, 0),
		timeout:         opts.AttemptTimeout,
		acceptAny2xx:    opts.AcceptAny2xx,
		maxRetryAfter:   orDefault(opts.MaxRetryAfter, defaultMaxRetryAfter),
		perMinute:       orDefault(opts.PerMinute, DefaultPerMinute),
		source:          clean(opts.DefaultSource, true),
		severity:        SeverityError,
		log:             opts.Logger,
	}
	if given := opts.HTTPClient; given != nil {
		if c.transport == nil {
			c.transport = given.Transport
		}
		c.timeout = cmp.Or(c.timeout, given.Timeout)
	}
	c.timeout = orDefault(c.timeout, defaultTimeout)
	if c.transport == nil {
		if c.transport, c.proxy, err = defaultTransport(c.alertURL); err != nil {
			return nil, err
		}
	}
	_, c.stdTransport = c.transport.(*http.Transport)
	if blank(c.source) {
		c.source = hostName()
	}
	if s := opts.DefaultSeverity; s != "" {
		known, ok := ParseSeverity(string(s))
		if !ok {
			return nil, fmt.Errorf("pagerduty: Options.DefaultSeverity %q is not a severity; "+
				"use critical, error, warning or info", s)
		}
		c.severity = known
	}
	if c.log == nil {
		c.log = slog.Default()
	}
	if c.telemetry, err = newTelemetry(opts.TracerProvider, opts.MeterProvider); err != nil {
		return nil, err
	}
	return c, nil
}

func hostName() string {
	if name, err := os.Hostname(); err == nil && !blank(name) {
		return name
	}
	return "unknown"
}

// WithKey returns a client that sends under another key over the same connections. Unless a Limiter
// is set, each key has its own rate limit.
func (c *Client) WithKey(key KeySource) *Client {
	copied := *c
	copied.key = key
	return &copied
}

// WithLimiter returns a client that calls l before each request, and is the same otherwise. Nil
// brings back the client's own limiter.
func (c *Client) WithLimiter(l Limiter) *Client {
	copied := *c
	copied.limiter = l
	return &copied
}

// Account names the rate limit that requests of c count against at PagerDuty: the host of the API
// and the fingerprint of the routing key, which is not secret. It is "" while there is no key.
func (c *Client) Account() string {
	key, err := currentKey(c.key)
	if err != nil {
		return ""
	}
	return c.core.alertURL.Host + " " + key.Fingerprint()
}

// limiterFor returns the limiter to call before each request under key.
func (c *Client) limiterFor(key RoutingKey) Limiter {
	if c.limiter != nil {
		return c.limiter
	}
	if known, ok := c.core.windows.Load(key); ok {
		return known.(*window)
	}
	made, _ := c.core.windows.LoadOrStore(key, newWindow(c.core.perMinute))
	return made.(*window)
}

// Result describes an event that PagerDuty accepted. The API is asynchronous: PagerDuty accepts an
// acknowledge or resolve of an alert that is not open too, and then drops it.
type Result struct {
	// DedupKey names the alert in later events. It is empty for change events.
	DedupKey string
	// Status and Message are PagerDuty's words, such as "success" and "Event processed".
	Status  string
	Message string
	// StatusCode is 202, or another 2xx of a gateway in front of PagerDuty.
	StatusCode int
	// Confirmed reports that the answer was PagerDuty's own: 202 with JSON whose status is "success".
	// A gateway may answer with another 2xx, and with AcceptAny2xx with any body.
	Confirmed bool
	// AnswerLost reports that the answer to an earlier request of this call was lost. PagerDuty may
	// still handle that request, even after an event that is sent later.
	AnswerLost bool
	// Attempts is the number of requests.
	Attempts int
	// Repairs lists what was changed so that PagerDuty takes the event.
	Repairs []Repair
}

// Send sends an alert event and returns when PagerDuty has accepted it. It tries again for some two
// seconds where that may help (see [Options.Retries]), each time with the same bytes. Every error
// is an [*Error].
//
// After an error, an event that has a dedup key can safely be sent again. Send the events of one
// alert one after the other: a resolve that arrives before its trigger leaves the incident open.
func (c *Client) Send(ctx context.Context, ev *Event) (*Result, error) {
	if ev == nil {
		return nil, &Error{Class: ClassPermanent, Message: "event is nil"}
	}
	key, err := c.keyForSend()
	if err != nil {
		return nil, err
	}
	m := &alertMessage{key: key, ev: *ev}
	r := repairer{source: c.core.source, severity: c.core.severity}
	r.event(&m.ev)
	if err := check(&alertRules{m.ev.Action, m.ev.DedupKey, m.ev.Summary}); err != nil {
		return nil, err
	}
	return (&call{
		core: c.core, limiter: c.limiterFor(key), key: key, url: c.core.alertURL,
		action: string(m.ev.Action), dedupKey: m.ev.DedupKey, message: m, repairs: r.repairs,
	}).send(ctx)
}

// SendChange sends a change event and returns when PagerDuty has accepted it. Orchestration and
// ruleset keys take no change events: with such a key the error is permanent. A change event has no
// dedup key, so a second copy would be a second change: SendChange does not try again after a lost
// answer.
func (c *Client) SendChange(ctx context.Context, ev *ChangeEvent) (*Result, error) {
	if ev == nil {
		return nil, &Error{Class: ClassPermanent, Message: "change event is nil"}
	}
	key, err := c.keyForSend()
	if err != nil {
		return nil, err
	}
	if key.Orchestration() {
		return nil, &Error{
			Class:   ClassPermanent,
			Message: "orchestration and ruleset keys, which begin with R, take no change events",
			Hint:    "use the Integration Key of an Events API v2 integration on a service",
		}
	}
	m := &changeMessage{key: key, ev: *ev}
	r := repairer{source: c.core.source, severity: c.core.severity}
	r.change(&m.ev)
	if err := check(&changeRules{m.ev.Summary}); err != nil {
		return nil, err
	}
	return (&call{
		core: c.core, limiter: c.limiterFor(key), key: key, url: c.core.changeURL,
		action: "change", message: m, repairs: r.repairs,
	}).send(ctx)
}

const noKeyHint = "check the source of the routing key, such as the mounted secret"

// keyForSend returns the key to send under. A missing key is an error of the configuration and not
// of the event: during a rotation the key may be missing for a moment.
func (c *Client) keyForSend() (RoutingKey, error) {
	key, err := currentKey(c.key)
	if err != nil {
		return RoutingKey{}, &Error{Class: ClassConfig, Err: err, Hint: noKeyHint}
	}
	return key, nil
}

// currentKey calls source. A nil source and an empty key are errors.
func currentKey(source KeySource) (RoutingKey, error) {
	if source == nil {
		return RoutingKey{}.Key()
	}
	key, err := source.Key()
	if err != nil {
		return RoutingKey{}, err
	}
	return key.Key()
}
