package bench

import (
	"bufio"
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	gopagerduty "github.com/PagerDuty/go-pagerduty"

	"github.com/guance-relay/guance-relay/pagerduty"
	"github.com/guance-relay/guance-relay/pagerduty/pagerdutytest"
)

const routingKey = "e93facc04764012d7bfb002500d5d1a6"

// serverVariable makes the test binary the fake Events API. It is a process
// of its own because the allocations of a benchmark are those of the whole
// process, and the fake's are nobody's merit.
const serverVariable = "BENCH_EVENTS_API"

func TestMain(m *testing.M) {
	if os.Getenv(serverVariable) == "" {
		os.Exit(m.Run())
	}
	if err := serve(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// serve prints the fake's address and serves until standard input ends.
func serve() error {
	fake := pagerdutytest.New()
	fake.SetRateLimit(0)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	fmt.Println("http://" + listener.Addr().String())
	go func() {
		_, _ = bufio.NewReader(os.Stdin).ReadByte() // the end is what is waited for
		os.Exit(0)
	}()
	var served atomic.Int64
	return http.Serve(listener, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fake.ServeHTTP(w, r)
		if served.Add(1)%1000 == 0 {
			fake.Reset() // it remembers every request
		}
	}))
}

// eventsAPI starts the fake and returns its base URL.
func eventsAPI(t testing.TB) string {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	server := exec.CommandContext(t.Context(), exe)
	server.Env = append(os.Environ(), serverVariable+"=1")
	server.Stderr = os.Stderr
	stdin, err := server.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	stdout, err := server.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := server.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = stdin.Close() // which ends it; the context sees to the rest
		_ = server.Wait()
	})
	address, err := bufio.NewReader(stdout).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(address)
}

// A sender sends the same two events as every other sender.
type sender struct {
	name    string
	trigger func(context.Context) error
	resolve func(context.Context) error
}

const (
	dedupKey = "c8e1b9f0a4d34b5e9a0f6d1c2b3a4958"
	summary  = "磁盘使用率过高: db-1 的 /var 已用 93%"
	source   = "db-1.example.com"
	view     = "https://console.guance.com/keyevents/monitorChart?workspaceUUID=wksp_1&id=event-1"
)

// details are those of one alert of a monitor, as the relay makes them.
func details() map[string]any {
	return map[string]any{
		"result":      93.25,
		"date":        1_790_000_000,
		"description": "磁盘使用率连续 5 分钟超过 90%。\n请检查日志轮转 & 归档任务，必要时扩容 <disk>。",
		"checker":     "disk usage",
		"event_id":    "event-1a2b3c4d5e6f",
		"workspace":   "production",
		"tags":        map[string]any{"host": "db-1", "device": "/dev/sdb1", "region": "cn-hangzhou"},
		"fault_start": 1_789_999_700,
		"repeated":    false,
	}
}

func ours(t testing.TB, url string) sender {
	t.Helper()
	key, err := pagerduty.ParseRoutingKey(routingKey)
	if err != nil {
		t.Fatal(err)
	}
	client, err := pagerduty.NewClient(key, &pagerduty.Options{
		BaseURL:   url,
		PerMinute: 1_000_000_000, // the limiter is at work, and never says wait
		Logger:    slog.New(slog.DiscardHandler),
	})
	if err != nil {
		t.Fatal(err)
	}
	send := func(ctx context.Context, ev *pagerduty.Event) error {
		result, err := client.Send(ctx, ev)
		if err == nil && !result.Confirmed {
			err = fmt.Errorf("not confirmed: %+v", result)
		}
		return err
	}
	return sender{
		name: "guance-relay",
		trigger: func(ctx context.Context) error {
			return send(ctx, &pagerduty.Event{
				Action: pagerduty.ActionTrigger, DedupKey: dedupKey,
				Summary: summary, Source: source, Severity: pagerduty.SeverityCritical, Component: "disk", Group: "db", Class: "usage",
				Details: details(), Client: "Guance", ClientURL: view,
				Links: []pagerduty.Link{{Href: view, Text: "event"}},
			})
		},
		resolve: func(ctx context.Context) error {
			return send(ctx, &pagerduty.Event{Action: pagerduty.ActionResolve, DedupKey: dedupKey})
		},
	}
}

func goPagerDuty(_ testing.TB, url string) sender {
	client := gopagerduty.NewClient("", gopagerduty.WithV2EventsAPIEndpoint(url))
	send := func(ctx context.Context, ev *gopagerduty.V2Event) error {
		response, err := client.ManageEventWithContext(ctx, ev)
		if err == nil && response.Status != "success" {
			err = fmt.Errorf("not confirmed: %+v", response)
		}
		return err
	}
	return sender{
		name: "go-pagerduty",
		trigger: func(ctx context.Context) error {
			return send(ctx, &gopagerduty.V2Event{
				RoutingKey: routingKey, Action: "trigger", DedupKey: dedupKey,
				Payload: &gopagerduty.V2Payload{
					Summary: summary, Source: source, Severity: "critical", Component: "disk", Group: "db", Class: "usage",
					Details: details(),
				},
				Client: "Guance", ClientURL: view,
				Links: []any{map[string]string{"href": view, "text": "event"}},
			})
		},
		resolve: func(ctx context.Context) error {
			return send(ctx, &gopagerduty.V2Event{RoutingKey: routingKey, Action: "resolve", DedupKey: dedupKey})
		},
	}
}

// What is compared must first be the same: the fake takes both senders' events.
func TestSendersSend(t *testing.T) {
	url := eventsAPI(t)
	for _, s := range []sender{ours(t, url), goPagerDuty(t, url)} {
		if err := s.trigger(t.Context()); err != nil {
			t.Errorf("%s: trigger: %v", s.name, err)
		}
		if err := s.resolve(t.Context()); err != nil {
			t.Errorf("%s: resolve: %v", s.name, err)
		}
	}
}

// BenchmarkSend is one event sent and answered on a kept connection: made,
// checked, encoded, sent over the loopback, and its answer read. Who goes first
// is left to chance, since whoever does meets a colder machine.
func BenchmarkSend(b *testing.B) {
	url := eventsAPI(b)
	for _, action := range []string{"trigger", "resolve"} {
		senders := []sender{ours(b, url), goPagerDuty(b, url)}
		rand.Shuffle(len(senders), func(i, j int) { senders[i], senders[j] = senders[j], senders[i] })
		for _, s := range senders {
			send := s.trigger
			if action == "resolve" {
				send = s.resolve
			}
			b.Run("action="+action+"/client="+s.name, func(b *testing.B) {
				b.ReportAllocs()
				for b.Loop() {
					if err := send(b.Context()); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
}

// BenchmarkSendInTurn has the two clients send one event each, in turn, and
// reports how their times compare: whatever else the machine does meets both
// within the same millisecond. The medians leave out what a scheduler adds.
func BenchmarkSendInTurn(b *testing.B) {
	url := eventsAPI(b)
	us, them := ours(b, url), goPagerDuty(b, url)
	for _, action := range []string{"trigger", "resolve"} {
		sends := []func(context.Context) error{us.trigger, them.trigger}
		if action == "resolve" {
			sends = []func(context.Context) error{us.resolve, them.resolve}
		}
		b.Run("action="+action, func(b *testing.B) {
			took := make([][]float64, len(sends))
			for turn := 0; b.Loop(); turn++ {
				for i := range sends {
					who := (i + turn) % len(sends) // who follows whom must not matter
					start := time.Now()
					if err := sends[who](b.Context()); err != nil {
						b.Fatal(err)
					}
					took[who] = append(took[who], float64(time.Since(start).Nanoseconds()))
				}
			}
			median := func(x []float64) float64 {
				slices.Sort(x)
				return x[len(x)/2]
			}
			ours, theirs := median(took[0]), median(took[1])
			b.ReportMetric(ours, us.name+"-ns")
			b.ReportMetric(theirs, them.name+"-ns")
			b.ReportMetric(ours/theirs, "ratio")
			b.ReportMetric(0, "ns/op") // of both together, which says nothing
		})
	}
}
