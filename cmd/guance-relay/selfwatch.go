package main

import (
	"cmp"
	"context"
	"crypto/rand"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"strings"
	"sync"

	"github.com/guance-relay/guance-relay/cmd/guance-relay/internal/relayfile"
	"github.com/guance-relay/guance-relay/cmd/guance-relay/internal/watch"
	"github.com/guance-relay/guance-relay/relay"
)

// leastDisk is how much room the disk has that does not count as nearly full.
const leastDisk = 256 << 20

// A selfWatch reports the server's own trouble, and sends heartbeats.
type selfWatch struct {
	watch   *watch.Watch
	beat    *watch.Heartbeat // nil: there are no heartbeats
	sources []relay.Source   // of synthetic webhooks; none without heartbeats
}

// newSelfWatch returns the watch of a file.
func newSelfWatch(c *config, f *relayfile.Config, log *slog.Logger) *selfWatch {
	node := c.node
	if node == "" {
		node, _ = os.Hostname() // it is shown to people only
	}
	entries := cmp.Or(f.Store.MaxEntries, 1_000_000)
	w := &selfWatch{watch: watch.New(watch.Options{
		Log: log, Node: node, MaxEntries: entries,
		MaxLaneEntries: cmp.Or(f.Store.MaxLaneEntries, max(entries/4, 1)),
	})}
	w.watch.Set(f.Watch)
	if f.Switch == nil {
		return w
	}
	w.beat = &watch.Heartbeat{Every: f.HeartbeatEvery, Switch: f.Switch, Log: log,
		LaneStuck: w.watch.LaneStuck}
	source := relay.Source{Name: watch.HeartbeatSource, Tokens: []string{rand.Text()},
		Allow: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("::1/128")}}
	host, _, _ := net.SplitHostPort(c.listen) // net.Listen says what is wrong with it
	if own, err := relayfile.ParseNetwork(host); err == nil && own.IsSingleIP() {
		source.Allow = append(source.Allow, own)
	}
	w.sources = []relay.Source{source}
	return w
}

// addTo adds the lane of synthetic webhooks to a plan.
func (w *selfWatch) addTo(p *plan) {
	p.received = w.watch.Received
	if w.beat != nil {
		p.lanes = append(p.lanes,
			plannedLane{watch.HeartbeatLane, w.beat.Sink(), w.beat.LaneOptions()})
	}
}

// start watches a server until ctx ends, and returns a function that waits for the end.
func (w *selfWatch) start(ctx context.Context, s *server) (wait func()) {
	if db, ok := s.store.(interface{ Room() (int, int64) }); ok {
		w.watch.SetFull(func() (int, string) {
			percent, left := db.Room()
			if left >= 0 && left < leastDisk {
				return 100, fmt.Sprintf("the disk, which has %d MiB left", left>>20)
			}
			return percent, "the bytes that may be pending"
		})
	}
	var running sync.WaitGroup
	running.Go(func() { w.watch.Run(ctx, s.relay, s.store) })
	if w.beat != nil {
		w.beat.Post = s.postSynthetic(w.sources[0].Tokens[0])
		running.Go(func() { w.beat.Run(ctx) })
	}
	return running.Wait
}

// postSynthetic returns a function that sends a synthetic webhook to the server's own address, by a
// new connection each time.
func (s *server) postSynthetic(token string) func(context.Context) error {
	address := s.listener.Addr().String()
	if tcp, ok := s.listener.Addr().(*net.TCPAddr); ok && tcp.IP.IsUnspecified() {
		address = net.JoinHostPort("127.0.0.1", fmt.Sprint(tcp.Port))
	}
	u := url.URL{Scheme: "http", Host: address, Path: "/guance"}
	transport := &http.Transport{DisableKeepAlives: true} // and no proxy of the environment
	if s.pair != nil {
		u.Scheme = "https"
		transport.TLSClientConfig = &tls.Config{
			InsecureSkipVerify: true, // the name is not that of the address: VerifyConnection checks
			VerifyConnection: func(state tls.ConnectionState) error {
				return s.pair.isOwn(state.PeerCertificates)
			},
		}
	}
	return func(ctx context.Context) error {
		req, err := http.NewRequestWithContext(ctx, http.MethodPost, u.String(),
			strings.NewReader(watch.Body))
		if err != nil {
			return err
		}
		req.Header.Set("Content-Type", "application/json")
		req.Header.Set("Authorization", "Bearer "+token)
		resp, err := transport.RoundTrip(req)
		if err != nil {
			return err
		}
		said, err := io.ReadAll(io.LimitReader(resp.Body, 1<<10))
		if err = errors.Join(err, resp.Body.Close()); err == nil &&
			resp.StatusCode != http.StatusAccepted {
			err = fmt.Errorf("the handler answers %s: %s", resp.Status, said)
		}
		return err
	}
}
