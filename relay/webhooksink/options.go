package webhooksink

import (
	"fmt"
	"log/slog"
	"net/http"
	"net/netip"
	"net/textproto"
	"strings"

	"golang.org/x/net/http/httpguts"
)

// Options say how requests look. A nil *Options and a zero field mean the defaults. New copies
// them.
type Options struct {
	// Secrets sign each request, as Standard Webhooks say. Each is "whsec_" and the base64 of 24 to
	// 64 random bytes. To change one without a gap, give the new and the old one: the request has a
	// signature of each, and a receiver needs one that it can verify. None means no signature.
	Secrets []string
	// Format is that of a chat: its body, signature and answers. It cannot be given with Secrets,
	// Template or ContentType. Nil means a [Payload].
	Format *Format
	// Template, if not empty, makes the body: a text/template that is executed with a [Payload].
	// The function json writes a value as JSON, with quotes: {"text": {{json .Data.Title}}}. A tag
	// that an event does not have is empty text. New tries the template with an event. A delivery
	// for which it fails makes a dead letter whose reason names the place in the template.
	Template string
	// ContentType is that of the body; empty means application/json. If it is empty, the result of
	// a template must be JSON: otherwise the event becomes a dead letter.
	ContentType string
	// Headers are added to each request. Host replaces the host of the URL in the request. New
	// refuses the headers that the sink sets itself, such as Content-Type.
	Headers http.Header
	// Client, if not nil, sends the requests: for a proxy, client certificates or a transport of
	// one's own. The sink uses a copy that follows no redirects. The client connects to whatever
	// addresses its transport connects to.
	Client *http.Client
	// AllowedNetworks are networks that the sink may connect to although they are not part of the
	// public internet, such as 10.20.0.0/16 or 127.0.0.0/8. They cannot be given with Client.
	AllowedNetworks []netip.Prefix
	// NewestOnly lets a newer state of a problem supersede an older one that was not sent yet, for
	// targets that keep a state and no history. False sends every event.
	NewestOnly bool
}

// String tells which options are set, and no secret.
func (o Options) String() string {
	var set []string
	add := func(is bool, format string, args ...any) {
		if is {
			set = append(set, fmt.Sprintf(format, args...))
		}
	}
	add(len(o.Secrets) > 0, "%d secrets", len(o.Secrets))
	add(o.Format != nil, "format %v", o.Format)
	add(o.Template != "", "a template")
	add(o.ContentType != "", "content type %s", o.ContentType)
	add(len(o.Headers) > 0, "%d headers", len(o.Headers))
	add(o.Client != nil, "a client")
	add(len(o.AllowedNetworks) > 0, "allowed networks %v", o.AllowedNetworks)
	add(o.NewestOnly, "newest only")
	return "webhooksink.Options{" + strings.Join(set, ", ") + "}"
}

// GoString is String, so that %#v prints no secret either.
func (o Options) GoString() string { return o.String() }

// LogValue is String, for log/slog.
func (o Options) LogValue() slog.Value { return slog.StringValue(o.String()) }

// check returns what is wrong with options that exclude each other.
func (o *Options) check() error {
	switch {
	case o.Format != nil && o.Format.body == nil:
		return optionError("Format", "is empty: "+
			"Feishu, DingTalk, WeCom, Slack and Teams return one")
	case o.Format != nil && o.Template != "":
		return optionError("Template", "excludes Options.Format: both make the body")
	case o.Format != nil && o.ContentType != "":
		return optionError("ContentType",
			"excludes Options.Format: a format has its own content type")
	case o.Format != nil && len(o.Secrets) > 0:
		return optionError("Secrets",
			"excludes Options.Format: a chat verifies no Standard Webhooks signature")
	case o.Client != nil && len(o.AllowedNetworks) > 0:
		return optionError("AllowedNetworks",
			"excludes Options.Client: the client's own transport decides what it connects to")
	case o.ContentType != "" && !httpguts.ValidHeaderFieldValue(o.ContentType):
		return optionError("ContentType", "is not a header value")
	}
	return nil
}

// ownHeaders are set by the sink or by net/http.
var ownHeaders = []string{
	"Connection", "Content-Length", "Content-Type", "Trailer", "Transfer-Encoding",
	"Webhook-Id", "Webhook-Timestamp", "Webhook-Signature",
}

// cleanHeaders returns a copy of h with canonical names, or an error that names no value.
func cleanHeaders(h http.Header) (http.Header, error) {
	clean := make(http.Header, len(h))
	for name, values := range h {
		canonical := textproto.CanonicalMIMEHeaderKey(name)
		if !httpguts.ValidHeaderFieldName(name) {
			return nil, optionError("Headers", "has a name that HTTP does not allow")
		}
		for _, own := range ownHeaders {
			if own == canonical {
				return nil, optionError("Headers", "has %s, which the sink sets", canonical)
			}
		}
		for _, value := range values {
			if !httpguts.ValidHeaderFieldValue(value) {
				return nil, optionError("Headers", "has a value of %s with characters that HTTP "+
					"does not allow, such as a newline at the end of a file", canonical)
			}
			clean.Add(canonical, value)
		}
	}
	return clean, nil
}
