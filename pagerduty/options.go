package pagerduty

import (
	"log/slog"
	"net/http"
	"time"

	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/trace"
)

// Options configures a [Client]. Nil is the same as the zero Options. A zero field means its
// default. A negative number or duration turns its feature off, as each field says.
type Options struct {
	// Region is the service region of the account. Zero: [RegionUS].
	Region Region
	// BaseURL replaces the region's address, for an agent, a gateway or a test: https://host, or http
	// to the loopback. A path of the API at its end, such as /v2/enqueue, is removed. Zero: the
	// address of Region.
	BaseURL string

	// HTTPClient provides its Transport and its Timeout, which becomes the default of AttemptTimeout.
	// Its Jar and CheckRedirect are not used. Zero: a transport of the client's own. That has
	// timeouts, finds silent connections with HTTP/2 pings, and uses the proxy that HTTPS_PROXY and
	// NO_PROXY (upper or lower case) name when the client is made.
	HTTPClient *http.Client
	// Transport takes precedence over HTTPClient.Transport. Zero: HTTPClient.Transport.
	Transport http.RoundTripper

	// Limiter is called before each request, retries included. It replaces the client's own limiter:
	// PerMinute is not used, and a 429 delays only the event that got it. Zero: one limiter for each
	// routing key, which keeps PerMinute.
	Limiter Limiter
	// PerMinute is the highest number of requests per routing key in any 60 seconds. Zero:
	// [DefaultPerMinute]. Negative: no limit.
	PerMinute int

	// Retries is how often Send tries again, within some two seconds, after a failed connection, a
	// lost answer, 5xx, 408 or 425. Zero: 2. Negative: no retries.
	Retries int
	// ThrottleRetries is how often Send waits after a 429 and tries again. All sends under the key
	// wait too, unless Limiter is set. A program without a queue can set 3, which PagerDuty
	// recommends. Zero or negative: no retries; the 429 is returned.
	ThrottleRetries int
	// AttemptTimeout limits one request, from dialling to the last byte of the answer. It does not
	// include the wait for the limiter. The connection of a request that timed out is closed. Zero: 15
	// seconds. Negative: no timeout but the context's.
	AttemptTimeout time.Duration
	// AcceptAny2xx accepts every 2xx as success, whatever its body: set it for a gateway that answers
	// in its own words. False: success is a 2xx whose body is a JSON object with the status "success"
	// and a message. Login pages and block pages also answer 200, and the event would be lost.
	AcceptAny2xx bool
	// MaxRetryAfter is the longest wait that is taken from a Retry-After header; a longer one is cut
	// to it. Zero: 5 minutes. Negative: Retry-After is ignored.
	MaxRetryAfter time.Duration

	// DefaultSource replaces a blank source. Zero: the host name.
	DefaultSource string
	// DefaultSeverity replaces a blank or unknown severity. Zero: [SeverityError].
	DefaultSeverity Severity

	// Logger gets one line per attempt at debug level. Zero: slog.Default().
	Logger *slog.Logger
	// TracerProvider and MeterProvider receive spans and metrics. Zero: the global providers.
	TracerProvider trace.TracerProvider
	MeterProvider  metric.MeterProvider
}

const (
	defaultRetries       = 2
	defaultTimeout       = 15 * time.Second
	defaultMaxRetryAfter = 5 * time.Minute
)

// orDefault returns fallback for zero. A negative value, which means "off", is kept.
func orDefault[T int | time.Duration](v, fallback T) T {
	if v == 0 {
		return fallback
	}
	return v
}
