package console

import (
	"embed"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/guance-relay/guance-relay/relay"
)

// A Permission is what a request may do.
type Permission int

const (
	None Permission = iota // nothing
	Read                   // look at everything
	Act                    // the same, and pause, resume, send, drop, replay and test
)

// Options are the settings of [New]. A nil *Options has all defaults, and so has a field that is
// nil or empty.
type Options struct {
	// Authorize returns what a request may do. It may be called concurrently. Default: every request
	// may read, and none may act.
	Authorize func(*http.Request) Permission
	// UserHeader is the name of the header in which a proxy says who the user is, such as
	// X-Forwarded-User. It goes to the log, and to the reason of what is dropped. The proxy must
	// remove the header from what it is sent. Default: none, and nobody is named.
	UserHeader string
	// Hosts are the host names, without port, at which the handler may be reached. If it is empty, a
	// request that came to a loopback address must have a loopback Host, and others may have any. If
	// not, all requests must have one of these or a loopback Host.
	Hosts []string
	// Logger is where actions are logged. Default: slog.Default().
	Logger *slog.Logger
}

// timeout bounds a call, except for event streams and test pages.
const timeout = 30 * time.Second

//go:embed static templates openapi.json
var files embed.FS

// A console is the handler.
type console struct {
	relay  *relay.Relay
	opts   Options
	log    *slog.Logger
	routes []*route
	stream stream
	tests  tests
}

// New returns the handler for a relay. It starts no goroutine; a stream of events has one while
// somebody reads it.
func New(r *relay.Relay, opts *Options) (http.Handler, error) {
	if r == nil {
		return nil, errors.New("console: New needs a Relay")
	}
	c := &console{relay: r}
	if opts != nil {
		c.opts = *opts
	}
	if c.log = c.opts.Logger; c.log == nil {
		c.log = slog.Default()
	}
	if c.opts.Authorize == nil {
		c.opts.Authorize = func(*http.Request) Permission { return Read }
	}
	for _, host := range c.opts.Hosts {
		if host == "" || strings.ContainsAny(host, "/ ") {
			return nil, errors.New("console: Hosts needs names of hosts without port, such as " +
				"relay.example.com")
		}
	}
	c.stream.figures = func() []byte { return encode(c.lanes()) }
	c.routes = c.table()
	return &handler{c.guard(c.mux()), c}, nil
}

// A handler is what New returns.
type handler struct {
	http.Handler
	console *console
}

// policy is the Content-Security-Policy of every answer.
const policy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; " +
	"connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"

// guard refuses what no permission allows, and sets the headers of every answer.
func (c *console) guard(h http.Handler) http.Handler {
	var origins http.CrossOriginProtection
	origins.SetDenyHandler(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		c.fail(w, req, errorf(http.StatusForbidden, "the request is from a page of another origin"))
	}))
	h = origins.Handler(h)
	return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		header := w.Header()
		header.Set("Content-Security-Policy", policy)
		header.Set("X-Content-Type-Options", "nosniff")
		header.Set("X-Frame-Options", "DENY")
		header.Set("Referrer-Policy", "same-origin") // with no-referrer, forms have the Origin "null"
		header.Set("Cross-Origin-Opener-Policy", "same-origin")
		header.Set("Cross-Origin-Resource-Policy", "same-origin")
		header.Set("Cache-Control", "no-store")
		if !c.hostAllowed(req) {
			c.fail(w, req, errorf(http.StatusMisdirectedRequest, "the Host header is not one of this "+
				"console; a proxy in front must send one that is"))
			return
		}
		h.ServeHTTP(w, req)
	})
}

// hostAllowed reports whether the request may be for this console. A request whose local address is
// not known counts as one to loopback.
func (c *console) hostAllowed(req *http.Request) bool {
	host, _, err := net.SplitHostPort(req.Host)
	if err != nil { // without a port
		host = strings.Trim(req.Host, "[]")
	}
	if loopback(host) || slices.ContainsFunc(c.opts.Hosts, func(name string) bool {
		return strings.EqualFold(name, host)
	}) {
		return true
	}
	if len(c.opts.Hosts) > 0 {
		return false
	}
	local, ok := req.Context().Value(http.LocalAddrContextKey).(net.Addr)
	if !ok {
		return false
	}
	address, _, err := net.SplitHostPort(local.String())
	return err == nil && !loopback(address)
}

// loopback reports whether a host can only be this machine.
func loopback(host string) bool {
	address, err := netip.ParseAddr(host)
	return err == nil && address.Unmap().IsLoopback() || strings.EqualFold(host, "localhost")
}

// user returns who sent a request, or "".
func (c *console) user(req *http.Request) string {
	if c.opts.UserHeader == "" {
		return ""
	}
	return head(clean(req.Header.Get(c.opts.UserHeader)), 100)
}
