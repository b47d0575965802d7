package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"
)

// 1,500 silent connections of one address, each opened again when it is closed, do not keep out a
// slow sender of another address, whether the attacker's network may send webhooks or not.
func TestReport20SilentConnectionsOfOneAddress(t *testing.T) {
	attackers := 1500
	var files syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &files); err == nil && files.Cur < 2000 {
		attackers = int(files.Cur) * 3 / 4
		t.Logf("%d files may be open here: %d silent connections", files.Cur, attackers)
	}
	for name, allow := range map[string]string{"everybody may send": "",
		"the attacker may not send": "127.0.0.2"} {
		t.Run(name, func(t *testing.T) {
			p := start(t, "RELAY_DATA="+t.TempDir(), "PAGERDUTY_URL=http://127.0.0.1:1", "LOG_LEVEL=info",
				"RELAY_ALLOW="+allow)
			ctx, stop := context.WithCancel(t.Context())
			var attack sync.WaitGroup
			defer attack.Wait()
			defer stop()
			var opened atomic.Int64
			for range attackers {
				attack.Go(func() {
					for ctx.Err() == nil {
						conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", p.address())
						if err != nil {
							time.Sleep(time.Millisecond) // no port is free
							continue
						}
						opened.Add(1)
						end := context.AfterFunc(ctx, func() { _ = conn.Close() })
						_, _ = conn.Read(make([]byte, 1)) // until the server closes it
						end()
						_ = conn.Close() // as above
					}
				})
			}
			deadline := time.Now().Add(time.Minute)
			for ; opened.Load() < int64(attackers); time.Sleep(10 * time.Millisecond) {
				if time.Now().After(deadline) {
					t.Fatalf("only %d connections were opened", opened.Load())
				}
			}
			// The sender has another address and a network delay of 300 ms before each packet.
			from := &net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 0, 2)}, Timeout: time.Minute}
			for i := range 3 {
				err := slowPost(ctx, from, p.address())
				// under attack, a busy machine may take longer than a header may
				for tries := 1; err != nil && tries < 3; tries++ {
					t.Log(err)
					err = slowPost(ctx, from, p.address())
				}
				if err != nil {
					t.Fatalf("webhook %d, after %d silent connections: %v", i, opened.Load(), err)
				}
			}
			t.Logf("%d silent connections were opened", opened.Load())
		})
	}
}

// slowPost sends a webhook in four pieces, 300 ms apart.
func slowPost(ctx context.Context, from *net.Dialer, address string) error {
	conn, err := from.DialContext(ctx, "tcp", address)
	if err != nil {
		return err
	}
	defer conn.Close()
	head := fmt.Sprintf("%sContent-Length: %d\r\nConnection: close\r\n\r\n", webhookHead, len(sample))
	for _, piece := range []string{head[:20], head[20:], string(sample[:100]), string(sample[100:])} {
		time.Sleep(300 * time.Millisecond) // the path
		if _, err := io.WriteString(conn, piece); err != nil {
			return err
		}
	}
	if err := conn.SetReadDeadline(time.Now().Add(time.Minute)); err != nil {
		return err
	}
	answer, err := io.ReadAll(conn)
	if !bytes.HasPrefix(answer, []byte("HTTP/1.1 202 ")) {
		return fmt.Errorf("answered with %q, %w", answer, err)
	}
	return nil
}

// remote is an in-memory connection with a remote address.
type remote struct {
	net.Conn
	from string
}

func (r *remote) RemoteAddr() net.Addr {
	return net.TCPAddrFromAddrPort(netip.MustParseAddrPort(r.from))
}

// At the limit, which connection is closed depends on who has connected.
func TestWhichConnectionIsClosed(t *testing.T) {
	prefixes := func(s string) []netip.Prefix {
		p, err := networks(s)
		if err != nil {
			t.Fatal(err)
		}
		return p
	}
	many := func(n int, from string) string {
		return strings.TrimSuffix(strings.Repeat(from+" ", n), " ")
	}
	tests := []struct {
		name           string
		most           int
		allow, proxies string
		open           string // who connects, in this order
		gone           string // the indices of those that are closed in the end
	}{
		{"room for all", 4, "", "", "192.0.2.1:1 192.0.2.1:2 192.0.2.2:1 192.0.2.3:1", ""},
		{"the address with most", 4, "", "",
			"192.0.2.9:1 192.0.2.1:1 192.0.2.1:2 192.0.2.2:1 192.0.2.3:1", "1"},
		{"and again", 4, "", "",
			"192.0.2.9:1 192.0.2.1:1 192.0.2.1:2 192.0.2.1:3 192.0.2.1:4 192.0.2.1:5", "1 2"},
		{"of equals the longest waiting", 3, "", "", "192.0.2.1:1 192.0.2.2:1 192.0.2.3:1 192.0.2.4:1",
			"0"},
		{"IPv4 in IPv6 is IPv4", 3, "", "", "192.0.2.9:1 192.0.2.1:1 [::ffff:192.0.2.1]:2 192.0.2.2:1",
			"1"},
		{"IPv6 by 64 bits", 3, "", "", "192.0.2.9:1 [2001:db8::1]:1 [2001:db8::2]:1 [2001:db8:0:1::1]:1",
			"1"},
		{"proxies are many", 4, "", "10.0.0.0/8",
			"10.0.0.1:1 10.0.0.1:2 192.0.2.1:1 192.0.2.1:2 10.0.0.1:3", "2"},
		{"among proxies the longest waiting", 3, "", "10.0.0.0/8",
			"10.0.0.2:1 10.0.0.1:1 10.0.0.1:2 10.0.0.1:3", "0"},
		{"unlisted networks share", 8, "198.51.100.0/24", "",
			many(4, "192.0.2.1:1") + " 192.0.2.2:1 198.51.100.1:1", "0"},
		{"proxies are not unlisted", 4, "198.51.100.0/24", "10.0.0.1", many(4, "10.0.0.1:1"), ""},
		{"unlisted networks displace each other only", 4, "198.51.100.0/24", "",
			"198.51.100.1:1 198.51.100.1:2 192.0.2.1:1 192.0.2.2:1 192.0.2.3:1", "2"},
		{"32 of unlisted networks", 1000, "198.51.100.0/24", "", many(34, "192.0.2.1:1"), "0 1"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				listener := make(pipes)
				server := &http.Server{Handler: http.NotFoundHandler()}
				limited := limitConnections(server, listener, test.most, prefixes(test.allow),
					prefixes(test.proxies))
				var serving sync.WaitGroup
				serving.Go(func() { _ = server.Serve(limited) }) // ends with Close
				defer serving.Wait()
				defer server.Close()
				var clients []net.Conn
				for from := range strings.FieldsSeq(test.open) {
					client, conn := net.Pipe()
					listener <- &remote{conn, from}
					clients = append(clients, client)
					synctest.Wait()
				}
				var gone []string
				for i, client := range clients {
					// fails on a pipe that was closed
					err := client.SetReadDeadline(time.Now().Add(time.Millisecond))
					if err == nil {
						_, err = client.Read(make([]byte, 1))
					}
					if !errors.Is(err, os.ErrDeadlineExceeded) {
						gone = append(gone, fmt.Sprint(i))
					}
				}
				if got := strings.Join(gone, " "); got != test.gone {
					t.Errorf("closed: %q, want %q", got, test.gone)
				}
			})
		})
	}
}

// If all connections of unlisted networks are being answered, the next one is closed at once, and
// others do not wait behind it.
func TestUnlistedNetworksDelayNobody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		listener, release := make(pipes), make(chan struct{})
		server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
			if req.URL.Path == "/slow" {
				<-release
			}
			w.WriteHeader(http.StatusNoContent)
		})}
		limited := limitConnections(server, listener, 4,
			[]netip.Prefix{netip.MustParsePrefix("198.51.100.0/24")}, nil)
		var serving sync.WaitGroup
		serving.Go(func() { _ = server.Serve(limited) }) // ends with Close
		defer serving.Wait()
		defer server.Close()
		dial := func(from string) net.Conn {
			client, conn := net.Pipe()
			listener <- &remote{conn, from}
			synctest.Wait()
			return client
		}
		for _, from := range []string{"192.0.2.1:1", "192.0.2.2:1"} {
			fmt.Fprint(dial(from), "GET /slow HTTP/1.1\r\nHost: x\r\n\r\n")
			synctest.Wait()
		}
		third := dial("192.0.2.3:1")
		if _, err := third.Read(make([]byte, 1)); err != io.EOF {
			t.Errorf("the third unlisted client reads %v, want EOF", err)
		}
		honest := dial("198.51.100.1:1")
		fmt.Fprint(honest, "GET / HTTP/1.1\r\nHost: x\r\n\r\n")
		answered(t, honest)
		close(release)
		synctest.Wait()
	})
}

func TestConnectionsFitTheFiles(t *testing.T) {
	for _, test := range []struct {
		connections int
		files       uint64
		want        int
	}{
		{1024, 1 << 20, 1024}, {1024, 1024 + filesReserve, 1024}, {1024, 1023 + filesReserve, 1023},
		{1024, 1024, 1024 - filesReserve},
		{1024, 64, 2}, {2, 64, 2}, {1024, 0, 1024}, {1024, ^uint64(0), 1024},
	} {
		var out bytes.Buffer
		got := affordable(test.connections, test.files, slog.New(slog.NewTextHandler(&out, nil)))
		if warned := strings.Contains(out.String(), "level=WARN"); got != test.want ||
			warned != (got < test.connections || test.files == 64) {
			t.Errorf("%d connections with %d files: %d, log %q; want %d", test.connections, test.files, got,
				out.String(), test.want)
		}
	}
}
