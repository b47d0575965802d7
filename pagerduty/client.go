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

	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/trace"
)

// Options tunes a [Client]. The zero Options, and nil, are sound.
type Options struct {
	// Region is where the account lives. Zero means [RegionUS].
	Region Region
	// BaseURL replaces the region's address, for an agent, a gateway or a
	// test: https://host, or http to the loopback. The API's own path at its end,
	// such as /v2/enqueue, is cut off. Zero means the region's.
	BaseURL string

	// HTTPClient lends its Transport and Timeout (which becomes the
	// AttemptTimeout); its Jar and CheckRedirect are not used, as redirects
	// are never followed. Zero means a transport of the client's own, with
	// timeouts, HTTP/2 pings that find out a silent connection, and the proxy
	// that the environment names when the client is made (HTTPS_PROXY and NO_PROXY,
	// in either case).
	HTTPClient *http.Client
	// Transport takes precedence over that of HTTPClient. Zero means as there.
	Transport http.RoundTripper

	// Limiter is asked before every request on the wire, retries included, in
	// place of the client's own; PerMinute is then not used, and a 429 pauses
	// nobody but the event that met it. Zero means one limiter for each
	// routing key, which keeps PerMinute.
	Limiter Limiter
	// PerMinute is how many requests at most go out under one routing key in
	// any 60 seconds. Zero means [DefaultPerMinute]; negative, no limit.
	PerMinute int

	// Retries is how often Send tries again, at once and within a second or
	// two, when no answer came or it was 5xx, 408 or 425. Zero means 2;
	// negative, never.
	Retries int
	// ThrottleRetries is how often Send waits out a 429 and tries again; all
	// sends under the key wait with it, unless a Limiter was given. Zero means
	// never: the 429 is handed up, for a queue to act on. A program without
	// one may set 3, which is PagerDuty's own advice.
	ThrottleRetries int
	// AttemptTimeout bounds each request, from dialling to the last byte of
	// the answer, but not the wait for the limiter. Zero means 15 seconds;
	// negative, no bound but the context's. The connection of a request that
	// ran out of time is closed, and no other request uses it.
	AttemptTimeout time.Duration
	// AcceptAny2xx takes every 2xx for PagerDuty's acceptance, whatever its body.
	// It is for a gateway that answers in words of its own. False means that an
	// event is accepted by a 2xx with PagerDuty's JSON alone, an object whose
	// status is "success" and whose message is a string: login pages and block
	// pages answer 200 too, and the event would be lost.
	AcceptAny2xx bool
	// MaxRetryAfter caps the wait a server may ask for. Zero means 5 minutes;
	// negative, that no server is listened to.
	MaxRetryAfter time.Duration

	// DefaultSource stands in for a blank source. Zero means the host name.
	DefaultSource string
	// DefaultSeverity stands in for a blank or unknown severity. Zero means
	// [SeverityError].
	DefaultSeverity Severity

	// Logger gets each attempt at debug level. Zero means slog.Default().
	Logger *slog.Logger
	// TracerProvider and MeterProvider take spans and metrics. Zero means the
	// global ones, which do nothing unless the application sets them.
	TracerProvider trace.TracerProvider
	MeterProvider  metric.MeterProvider
}

const (
	defaultRetries       = 2
	defaultTimeout       = 15 * time.Second
	defaultMaxRetryAfter = 5 * time.Minute
)

// Client sends events under one routing key. It is safe for concurrent use,
// holds no goroutine, and needs no closing.
type Client struct {
	core    *core
	key     KeySource
	limiter Limiter // nil: the core's own, by key
}

// core is what the copies of a client share.
type core struct {
	alerts  *url.URL // /v2/enqueue
	changes *url.URL // /v2/change/enqueue
	wire    http.RoundTripper
	traced  bool   // wire is net/http's, which tells httptrace of its connections
	proxy   string // host and port of the proxy that our own transport uses; "" is none

	retries         int
	throttleRetries int
	timeout         time.Duration // of an attempt; no bound if it is not positive
	acceptAny2xx    bool
	maxRetryAfter   time.Duration
	source          string
	severity        Severity
	log             *slog.Logger
	telemetry       *telemetry

	// perMinute < 0 means no limit. windows holds a *window per RoutingKey:
	// the budget is PagerDuty's for the key, whichever copy spends it.
	perMinute int
	windows   sync.Map
}

// NewClient returns a client that sends under key, a [RoutingKey] or any
// other [KeySource]. It makes no connection. The error names the option that
// cannot be used.
func NewClient(key KeySource, opts *Options) (*Client, error) {
	if _, err := keyOf(key); err != nil {
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
	address := opts.BaseURL
	if address == "" {
		region := opts.Region
		if region == "" {
			region = RegionUS
		}
		known, ok := hosts[region]
		if !ok {
			return nil, fmt.Errorf("pagerduty: Options.Region %q is not known; use RegionUS, RegionEU or BaseURL", region)
		}
		address = known
	}
	base, err := parseBase(address)
	if err != nil {
		return nil, err
	}
	c := &core{
		alerts:          below(base, alertPath),
		changes:         below(base, changePath),
		wire:            opts.Transport,
		retries:         orDefault(opts.Retries, defaultRetries),
		throttleRetries: max(opts.ThrottleRetries, 0),
		acceptAny2xx:    opts.AcceptAny2xx,
		maxRetryAfter:   orDefault(opts.MaxRetryAfter, defaultMaxRetryAfter),
		perMinute:       orDefault(opts.PerMinute, DefaultPerMinute),
		source:          clean(opts.DefaultSource, true),
		severity:        SeverityError,
		log:             opts.Logger,
	}
	c.timeout = opts.AttemptTimeout
	if lent := opts.HTTPClient; lent != nil {
		if c.wire == nil {
			c.wire = lent.Transport
		}
		c.timeout = cmp.Or(c.timeout, lent.Timeout)
	}
	c.timeout = orDefault(c.timeout, defaultTimeout)
	if c.wire == nil {
		if c.wire, c.proxy, err = ownTransport(c.alerts); err != nil {
			return nil, err
		}
	}
	_, c.traced = c.wire.(*http.Transport)
	if blank(c.source) {
		c.source = hostName()
	}
	if s := opts.DefaultSeverity; s != "" {
		known, ok := ParseSeverity(string(s))
		if !ok {
			return nil, fmt.Errorf("pagerduty: Options.DefaultSeverity %q is not a severity; use critical, error, warning or info", s)
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

// orDefault gives zero the default; negative stays, and means off.
func orDefault[T int | time.Duration](v, fallback T) T {
	if v == 0 {
		return fallback
	}
	return v
}

func hostName() string {
	if name, err := os.Hostname(); err == nil && !blank(name) {
		return name
	}
	return "unknown"
}

// WithKey returns a client that sends under another key through the same
// transport. Unless a Limiter was given, each key keeps its own rate,
// whichever client it is used through.
func (c *Client) WithKey(key KeySource) *Client {
	copied := *c
	copied.key = key
	return &copied
}

// Account names what requests of c count against at PagerDuty: the address and the fingerprint of the routing key, which is no secret. It is
// "" while there is no key.
func (c *Client) Account() string {
	key, err := keyOf(c.key)
	if err != nil {
		return ""
	}
	return c.core.alerts.Host + " " + key.Fingerprint()
}

// WithLimiter returns a client that asks l before every request and shares
// all else. Nil returns to the rate the client keeps by itself.
func (c *Client) WithLimiter(l Limiter) *Client {
	copied := *c
	copied.limiter = l
	return &copied
}

// limiterFor returns who is asked before a request under key.
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

// Result is an event that PagerDuty accepted. Accepted means that PagerDuty
// will process it; the API is asynchronous, and an acknowledge or resolve of
// an alert that is not open is accepted and then dropped.
type Result struct {
	// DedupKey names the alert in later events. Empty for change events.
	DedupKey string
	// Status and Message are PagerDuty's words for it, such as "success" and
	// "Event processed".
	Status  string
	Message string
	// StatusCode is 202, or another 2xx from what sits in front of PagerDuty.
	StatusCode int
	// Confirmed reports that the answer was PagerDuty's own: 202, in JSON,
	// with success for its status. An agent in between may say it with another
	// 2xx, and with AcceptAny2xx it may say anything.
	Confirmed bool
	// AnswerLost reports that the answer to an earlier request of this call was
	// lost. PagerDuty may handle that request later, and after what is sent next.
	AnswerLost bool
	// Attempts is how many requests were made.
	Attempts int
	// Repairs lists what was changed so that PagerDuty takes the event.
	Repairs []Repair
}

// Send sends an alert event and returns once PagerDuty accepted it. It tries
// again for a moment where that may help (see [Options.Retries]), with the
// same bytes each time. Every error is an [*Error].
//
// Sending the same event again after an error is safe if it has a dedup key.
// It is for the caller to send the events of one alert one after the other:
// a resolve that overtakes its trigger leaves the incident open.
func (c *Client) Send(ctx context.Context, ev *Event) (*Result, error) {
	if ev == nil {
		return nil, &Error{Class: ClassPermanent, Message: "event is nil"}
	}
	key, err := c.sendingKey()
	if err != nil {
		return nil, err
	}
	m := &alertMessage{key: key, ev: *ev}
	r := repairer{source: c.core.source, severity: c.core.severity}
	r.event(&m.ev)
	if err := check(&alertRules{m.ev.Action, m.ev.DedupKey, m.ev.Summary}); err != nil {
		return nil, err
	}
	d := &delivery{
		core: c.core, limiter: c.limiterFor(key), key: key, url: c.core.alerts,
		action: string(m.ev.Action), dedupKey: m.ev.DedupKey, message: m, repairs: r.repairs,
	}
	return d.send(ctx)
}

// SendChange sends a change event and returns once PagerDuty accepted it. It
// refuses orchestration and ruleset keys, which take none. A change event has
// no dedup key, so Send's retry after a lost answer, which might record the
// change twice, is left to the caller.
func (c *Client) SendChange(ctx context.Context, ev *ChangeEvent) (*Result, error) {
	if ev == nil {
		return nil, &Error{Class: ClassPermanent, Message: "change event is nil"}
	}
	key, err := c.sendingKey()
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
	d := &delivery{
		core: c.core, limiter: c.limiterFor(key), key: key, url: c.core.changes,
		action: "change", message: m, repairs: r.repairs,
	}
	return d.send(ctx)
}

const noKeyHint = "look at where the routing key comes from, such as the mounted secret"

// sendingKey asks the source. That it has no key now says nothing about the event.
func (c *Client) sendingKey() (RoutingKey, error) {
	key, err := keyOf(c.key)
	if err != nil {
		return RoutingKey{}, &Error{Class: ClassConfig, Err: err, Hint: noKeyHint}
	}
	return key, nil
}

// keyOf asks a source for its key. An empty key is as much of an error as none.
func keyOf(source KeySource) (RoutingKey, error) {
	if source == nil {
		return RoutingKey{}.Key()
	}
	key, err := source.Key()
	if err != nil {
		return RoutingKey{}, err
	}
	return key.Key()
}
