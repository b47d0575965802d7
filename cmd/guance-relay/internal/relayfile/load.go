package relayfile

import (
	"cmp"
	"crypto/tls"
	"log/slog"
	"maps"
	"net"
	"net/http"
	"net/netip"
	"os"
	"reflect"
	"slices"
	"strings"
	"sync"
	"time"

	"go.opentelemetry.io/otel/metric"

	"github.com/guance-relay/guance-relay/cmd/guance-relay/internal/watch"
	"github.com/guance-relay/guance-relay/pagerduty"
	"github.com/guance-relay/guance-relay/relay"
	"github.com/guance-relay/guance-relay/relay/boltstore"
)

// A Loader reads files. The lanes of one loader share connections.
type Loader struct {
	Getenv func(string) string // nil: os.Getenv
	Logger *slog.Logger        // nil: slog.Default()
	Meters metric.MeterProvider
	// Transport, if not nil, gets the requests of all lanes, and no lane signs them: see Explain.
	Transport http.RoundTripper

	mu      sync.Mutex
	clients map[string]*pagerduty.Client // guarded by mu; by region and address
}

// A Config is a file that is good.
type Config struct {
	File    *File
	Access  *Access
	Targets []*Target // by name
	Table   *Table
	Store   boltstore.Options
	Watch   *watch.Settings // nil: the relay does not report its own trouble
	// Switch is the dead-man's switch that gets a heartbeat so often; nil: there is none.
	Switch         relay.Sink
	HeartbeatEvery time.Duration
	// Redact replaces the secrets of the file in a text.
	Redact func(string) string

	doc *document
}

// A build is one call of Load.
type build struct {
	loader  *Loader
	doc     *document
	secrets *secrets
}

// Load reads a file and makes its lanes. It sends nothing. The error is an [Error].
func (l *Loader) Load(name string) (*Config, error) {
	f := &File{}
	doc, err := readDocument(name, f)
	if err != nil {
		return nil, err
	}
	b := &build{loader: l, doc: doc, secrets: &secrets{doc: doc, getenv: l.Getenv}}
	if b.secrets.getenv == nil {
		b.secrets.getenv = os.Getenv
	}
	c := &Config{File: f, doc: doc}
	if err := b.sections(f, c); err != nil {
		return nil, err
	}
	if err := b.certificate(f); err != nil {
		return nil, err
	}
	if c.Access, err = b.sources(f); err != nil {
		return nil, err
	}
	if len(f.Lanes) == 0 {
		return nil, doc.errorf(path{"lanes"}, "add one, with its type", "there is no lane")
	}
	for _, lane := range sortedKeys(f.Lanes) {
		t, err := b.lane(f, lane)
		if err != nil {
			return nil, err
		}
		c.Targets = append(c.Targets, t)
	}
	if c.Table, err = b.table(f); err != nil {
		return nil, err
	}
	if err := b.watch(f, c); err != nil {
		return nil, err
	}
	c.Redact = b.secrets.redactor()
	return c, nil
}

// Settings reads the sections of a file that need no secret: limits, store and listeners. Nothing
// else of the Config is set. The error is an [Error].
func Settings(name string) (*Config, error) {
	c := &Config{File: &File{}}
	var err error
	if c.doc, err = readDocument(name, c.File); err != nil {
		return nil, err
	}
	b := &build{doc: c.doc, secrets: &secrets{doc: c.doc}}
	return c, b.sections(c.File, c)
}

// sections checks limits, store and listeners.
func (b *build) sections(f *File, c *Config) (err error) {
	for name, section := range map[string]any{"limits": f.Limits, "store": f.Store} {
		if err := b.values(path{name}, reflect.ValueOf(section)); err != nil {
			return err
		}
	}
	s := f.Store
	c.Store = boltstore.Options{
		MaxEntries: s.MaxEntries, MaxLaneEntries: s.MaxLaneEntries, MaxBytes: int64(s.MaxBytes),
		MaxDead: s.MaxDead,
	}
	if c.Store.DeadAge, err = b.duration(path{"store", "dead_age"}, s.DeadAge); err != nil {
		return err
	}
	const largest = 16 << 20
	if f.Limits.MaxBody > largest {
		return b.doc.errorf(path{"limits", "max_body"}, "write 16777216 at most", "is too large")
	}
	for _, name := range []*string{&f.Store.Directory, &f.Listeners.TLSCert, &f.Listeners.TLSKey} {
		if *name != "" {
			*name = b.secrets.file(*name)
		}
	}
	for _, l := range [][2]string{{"webhook", f.Listeners.Webhook},
		{"operator", f.Listeners.Operator}, {"metrics", f.Listeners.Metrics}} {
		at := path{"listeners", l[0]}
		host, _, err := net.SplitHostPort(l[1])
		switch addr, parsed := netip.ParseAddr(host); {
		case l[1] == "":
		case err != nil:
			return b.doc.errorf(at, "write an address such as 127.0.0.1:9090", "%s has no port or no host",
				quote(l[1]))
		case l[0] == "operator" && host != "localhost" && (parsed != nil || !addr.Unmap().IsLoopback()):
			return b.doc.errorf(at, "listen on 127.0.0.1 and put a proxy with authentication in front",
				"%s is not a loopback address, and whoever reaches it may drop alerts", quote(l[1]))
		}
	}
	return nil
}

// certificate checks the files of the certificate.
func (b *build) certificate(f *File) error {
	l := f.Listeners
	at := path{"listeners", "tls_cert"}
	switch {
	case l.TLSCert == "" && l.TLSKey == "":
		return nil
	case l.TLSCert == "":
		return b.doc.errorf(at, "add it, or remove tls_key", "is missing")
	case l.TLSKey == "":
		return b.doc.errorf(path{"listeners", "tls_key"}, "add it, or remove tls_cert", "is missing")
	}
	if _, err := tls.LoadX509KeyPair(l.TLSCert, l.TLSKey); err != nil {
		return b.doc.errorf(at, "write the paths of two files in PEM that fit together", "%v", err)
	}
	return nil
}

// At returns an error at the place of a field.
func (c *Config) At(err error, remedy string, field ...string) error {
	at := path{}
	for _, step := range field {
		at = append(at, step)
	}
	return c.doc.errorf(at, remedy, "%s", strings.TrimPrefix(err.Error(), "relay: "))
}

// client returns a client for a key. Those of one address share connections.
func (l *Loader) client(key pagerduty.KeySource, region pagerduty.Region,
	baseURL string) (*pagerduty.Client, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	id := region.URL() + " " + baseURL
	if l.clients[id] == nil {
		client, err := pagerduty.NewClient(key, &pagerduty.Options{
			Region: region, BaseURL: baseURL, Logger: l.log(), MeterProvider: l.Meters,
			Transport: l.Transport,
		})
		if err != nil {
			return nil, err
		}
		if l.clients == nil {
			l.clients = make(map[string]*pagerduty.Client)
		}
		l.clients[id] = client
	}
	return l.clients[id].WithKey(key), nil
}

func (l *Loader) log() *slog.Logger { return cmp.Or(l.Logger, slog.Default()) }

func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }

// laneNames is the remedy for a lane that does not exist.
func laneNames(f *File) string {
	return "the lanes are " + strings.Join(sortedKeys(f.Lanes), ", ")
}
