package main

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/guance-relay/guance-relay/guance"
	"github.com/guance-relay/guance-relay/guance/guancetest"
	"github.com/guance-relay/guance-relay/pagerduty/pagerdutytest"
)

const (
	// siegeMemory is the most memory that the server may ever have resident, whatever its clients do:
	// 1024 connections with the largest headers, 64 MiB of bodies in buffers that grow by doubling,
	// and as much again until the garbage collector runs. Measured: 290 MiB.
	siegeMemory = raceFactor * 512 << 20
	// patience is how long an honest webhook may take during an attack: a second or two, more on a
	// busy machine.
	patience = raceFactor * 30 * time.Second
)

// A hostile is one client of an attack.
type hostile struct {
	siege      *siege
	n          int
	conn       *net.TCPConn
	in         *bufio.Reader
	inPosition func() // says that nothing more comes but what is sent until the end of the attack
}

// A siege is a server and the attack on it.
type siege struct {
	*process
	pd     *pagerdutytest.Server
	honest []string // dedup keys

	over     chan struct{}  // closed when the attack is to end
	position sync.WaitGroup // of those who are not in position yet
	mu       sync.Mutex
	statuses map[int]int // guarded by mu; 0 is a connection that ended without an answer
}

var attacks = []struct {
	name    string
	clients int
	do      func(*hostile)
	want    []int // every client's answers are among these
}{
	{"a header that does not end", 1200, func(h *hostile) {
		h.send("POST /guance HTTP/1.1\r\nHost: x\r\n")
		h.drip("X: y\r\n")
	}, []int{0, 400}},
	{"a body that does not come, without a token", 1200, func(h *hostile) {
		h.send("POST /guance HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n")
		h.drip("x")
	}, []int{0, 401}},
	{"a body for a path that takes none", 1200, func(h *hostile) {
		h.send("GET /healthz HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n")
		h.drip("x")
	}, []int{0, 200}},
	{"a body that does not come, with the token", 1200, func(h *hostile) {
		h.send(webhookHead + "Content-Length: 100000\r\n\r\n")
		h.drip("x")
	}, []int{0, 400, 408}},
	{"a chunk that does not come", 1200, func(h *hostile) {
		h.send(webhookHead + "Transfer-Encoding: chunked\r\n\r\n")
		h.drip("1\r\nx\r\n")
	}, []int{0, 400, 408}},
	{"the largest headers, and no body", 1200, func(h *hostile) {
		h.send("POST /guance HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n" + largestHeaders() + "\r\n")
		h.hold()
	}, []int{0, 400, 401}},
	{"many headers", 20, func(h *hostile) {
		h.ask("GET /healthz HTTP/1.1\r\nHost: x\r\n" + manyHeaders(64<<10) + "\r\n")
	}, []int{0, 431}},
	{"a header without end", 20, func(h *hostile) {
		h.send("GET /healthz HTTP/1.1\r\nHost: x\r\nX: ")
		h.flood(strings.Repeat("x", 64<<10))
	}, []int{0, 431}},
	{"a line without end", 20, func(h *hostile) {
		h.send("GET /")
		h.flood(strings.Repeat("x", 64<<10))
	}, []int{0, 431}},
	{"half-closed before the body", 300, func(h *hostile) {
		h.send(webhookHead + "Content-Length: 100\r\n\r\n{")
		h.half()
	}, []int{400}},
	{"half-closed after the body", 300, func(h *hostile) {
		h.send(webhookHead + "Content-Length: 2\r\n\r\n{}")
		h.half()
	}, []int{202}},
	{"reset in the body", 500, func(h *hostile) {
		h.send(webhookHead + "Content-Length: 100000\r\n\r\n[" + strings.Repeat(" ", h.n*10))
		h.reset()
	}, nil},
	{"reset after the body", 100, func(h *hostile) {
		h.send(webhookHead + "Content-Length: 2\r\n\r\n{}")
		h.reset()
	}, nil},
	{"chunks without end", 20, func(h *hostile) {
		h.send(webhookHead + "Transfer-Encoding: chunked\r\n\r\n")
		h.flood("10000\r\n" + strings.Repeat(" ", 64<<10) + "\r\n")
	}, []int{0, 413}},
	{"chunks of one byte", 20, func(h *hostile) {
		h.send(webhookHead + "Transfer-Encoding: chunked\r\n\r\n")
		h.flood(strings.Repeat("1;"+strings.Repeat("x", 200)+"\r\n \r\n", 300))
	}, []int{0, 400}},
	{"chunks without end, without a token", 20, func(h *hostile) {
		h.send("POST /guance HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n")
		h.flood("10000\r\n" + strings.Repeat(" ", 64<<10) + "\r\n")
	}, []int{0, 401}},
	{"a trailer without end", 20, func(h *hostile) {
		h.send(webhookHead + "Transfer-Encoding: chunked\r\n\r\n0\r\n")
		h.flood(strings.Repeat("X: y\r\n", 10<<10))
	}, []int{0, 400}},
	{"gzip bombs", 100, func(h *hostile) { h.zipped(bomb()) }, []int{0, 413, 503}},
	{"gzip within gzip", 20, func(h *hostile) { h.zipped(bombInBomb()) }, []int{400}},
	{"gzip of nothing, without end", 20, func(h *hostile) {
		h.send(webhookHead + "Content-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n\r\n")
		h.flood(fmt.Sprintf("%x\r\n%s\r\n", len(nothing()), nothing()))
	}, []int{0, 413}},
	{"the largest bodies, just as they end", 200, func(h *hostile) {
		h.send(webhookHead + "Content-Length: 1048576\r\n\r\n")
		h.send(strings.Repeat(" ", 1<<20-1))
		h.hold()
	}, []int{0, 400, 408, 503}},
	{"deep JSON", 20, func(h *hostile) { h.post(strings.Repeat("[", 1<<20)) },
		[]int{0, 400, 413, 503}},
	{"wide JSON", 20, func(h *hostile) { h.post("[" + strings.Repeat("{},", 1<<18) + "{}]") },
		[]int{0, 413, 503}},
	{"JSON of many names", 5, func(h *hostile) {
		h.post(`{"tags":{` + manyNames(900<<10) + `"x":0}}`)
	}, []int{0, 202, 400, 413, 503}},
	{"wrong tokens at speed", 50, func(h *hostile) {
		for i := range 100 {
			h.ask(fmt.Sprintf("POST /guance?token=%s%d HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n{}",
				token, i))
		}
	}, []int{401}},
	{"readiness at speed", 20, func(h *hostile) {
		for range 100 {
			h.ask("GET /readyz HTTP/1.1\r\nHost: x\r\n\r\n")
		}
	}, []int{200}},
	{"requests whose answers are not read", 20, func(h *hostile) {
		h.send(strings.Repeat("GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n", 5000))
		h.hold()
	}, []int{200}},
}

const webhookHead = "POST /guance HTTP/1.1\r\nHost: x\r\nX-Relay-Token: " + token + "\r\n"

// Computed when needed: the server under attack is a process of this test binary too.
var (
	bomb = sync.OnceValue(func() string {
		return strings.Repeat(compressed(strings.Repeat(" ", 1<<20)), 64)
	})
	bombInBomb = sync.OnceValue(func() string { return compressed(bomb()) })
	nothing    = sync.OnceValue(func() string { return strings.Repeat(compressed(""), 3000) })

	largestHeaders = sync.OnceValue(func() string { return manyHeaders(8 << 10) })
)

func compressed(s string) string {
	var b strings.Builder
	w := gzip.NewWriter(&b)
	_, _ = io.WriteString(w, s) // to memory
	_ = w.Close()
	return b.String()
}

// manyHeaders returns the smallest possible different headers, of size bytes together. They take
// the most memory.
func manyHeaders(size int) string {
	var b strings.Builder
	for i := 0; b.Len() < size; i++ {
		fmt.Fprintf(&b, "%x:\r\n", i)
	}
	return b.String()
}

func manyNames(size int) string {
	var b strings.Builder
	for i := 0; b.Len() < size; i++ {
		fmt.Fprintf(&b, `"%x":0,`, i)
	}
	return b.String()
}

// Whatever clients do, with or without the token, the server stays up, within its memory limit,
// gives documented answers, and takes honest webhooks, which all reach PagerDuty.
func TestHostileClients(t *testing.T) {
	var files syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &files); err == nil && files.Cur < 2000 {
		t.Fatalf("%d files may be open here; the attacks need 2000", files.Cur)
	}
	pd := pagerdutytest.NewServer()
	defer pd.Close()
	pd.SetRateLimit(0)
	s := &siege{pd: pd, process: start(t, "RELAY_DATA="+t.TempDir(), "PAGERDUTY_URL="+pd.URL,
		"PAGERDUTY_PER_MINUTE=6000", "LOG_LEVEL=info")}
	for _, attack := range attacks {
		t.Run(attack.name, func(t *testing.T) {
			s.over, s.statuses = make(chan struct{}), make(map[int]int)
			var clients sync.WaitGroup
			finish := sync.OnceFunc(func() {
				close(s.over)
				clients.Wait()
			})
			defer finish()
			send := func(from, to int) {
				for n := from; n < to; n++ {
					s.position.Add(1)
					clients.Go(func() {
						h := &hostile{siege: s, n: n, inPosition: sync.OnceFunc(s.position.Done)}
						defer h.end()
						attack.do(h)
					})
				}
			}
			send(0, attack.clients*9/10)
			slowest := s.serveHonest(t, 2)
			s.position.Wait()
			// they take the places that the first ones have left
			send(attack.clients*9/10, attack.clients)
			s.position.Wait()
			slowest = max(slowest, s.serveHonest(t, 3))
			finish()
			for status := range s.statuses {
				if !slices.Contains(attack.want, status) {
					t.Errorf("answered with %v, want %v", s.statuses, attack.want)
				}
			}
			peak := s.peak(t)
			if peak > siegeMemory {
				t.Errorf("%d MiB resident, want %d at most", peak>>20, siegeMemory>>20)
			}
			t.Logf("answers %v, at most %d MiB resident until now, the slowest honest webhook took %v",
				s.statuses, peak>>20, slowest.Round(time.Millisecond))
		})
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	for _, key := range s.honest {
		if err := pd.WaitOpen(ctx, key); err != nil {
			t.Fatalf("an honest webhook was answered with 202 and has not arrived: %v", err)
		}
	}
	if err := s.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if err := s.Wait(); err != nil {
		t.Errorf("SIGTERM after all: %v, want exit 0", err)
	}
	if log := s.output(); strings.Contains(log, "panic") || strings.Contains(log, token) ||
		len(log) > 64<<10 {
		t.Errorf("%d bytes of log, with a panic, with the token or too long:\n%.4000s", len(log), log)
	}
}

// serveHonest sends honest webhooks, one after the other, repeats each until it is answered with
// 202, and returns how long the slowest took.
func (s *siege) serveHonest(t *testing.T, n int) (slowest time.Duration) {
	t.Helper()
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: patience}
	for range n {
		p := guancetest.NewProblem("disk", "honest", fmt.Sprint(len(s.honest)))
		event := p.Fault(guance.LevelCritical)
		for began := time.Now(); ; {
			resp, err := client.Post(s.url+"/guance?token="+token, "application/json",
				bytes.NewReader(event.Raw))
			took := time.Since(began)
			if err == nil {
				_ = resp.Body.Close()
			}
			if took > patience {
				t.Fatalf("an honest webhook waits for %v: %v", took, err)
			}
			if err == nil && resp.StatusCode == http.StatusAccepted {
				slowest, s.honest = max(slowest, took), append(s.honest, event.ProblemKey())
				break
			}
			if err == nil && resp.StatusCode != http.StatusServiceUnavailable {
				t.Fatalf("an honest webhook: %s", resp.Status)
			}
		}
	}
	return slowest
}

// peak returns the most memory that the server ever had resident; 0 where /proc does not tell.
func (p *process) peak(t *testing.T) int {
	t.Helper()
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.Process.Pid))
	if err != nil {
		t.Log(err)
		return 0
	}
	_, rest, _ := strings.Cut(string(status), "VmHWM:")
	var kilobytes int
	if _, err := fmt.Sscan(rest, &kilobytes); err != nil {
		t.Fatalf("the server is gone: %s", status)
	}
	return kilobytes << 10
}

// send writes, after dialling if needed. On an error the server has closed the connection, as it
// may.
func (h *hostile) send(s string) bool {
	if h.conn == nil {
		conn, err := net.Dial("tcp", h.siege.address())
		if err != nil {
			return false
		}
		h.conn, h.in = conn.(*net.TCPConn), bufio.NewReader(conn)
		_ = conn.SetDeadline(time.Now().Add(time.Minute)) // nothing here takes as long
	}
	_, err := io.WriteString(h.conn, s)
	return err == nil
}

// hear counts one answer, or the end of the connection without one.
func (h *hostile) hear() bool {
	status := 0
	if h.conn != nil {
		if resp, err := http.ReadResponse(h.in, nil); err == nil {
			_, _ = io.Copy(io.Discard, resp.Body) // the status is all that counts
			status = resp.StatusCode
		}
	}
	h.siege.mu.Lock()
	defer h.siege.mu.Unlock()
	h.siege.statuses[status]++
	return status != 0
}

func (h *hostile) ask(s string) {
	h.send(s)
	h.hear()
}

func (h *hostile) post(body string) {
	h.ask(webhookHead + fmt.Sprintf("Content-Length: %d\r\n\r\n%s", len(body), body))
}

func (h *hostile) zipped(body string) {
	h.ask(webhookHead + fmt.Sprintf("Content-Encoding: gzip\r\nContent-Length: %d\r\n\r\n%s",
		len(body), body))
}

// hold keeps the connection open until the attack is over.
func (h *hostile) hold() {
	h.inPosition()
	<-h.siege.over
	h.half()
}

// drip sends s once a second until the attack is over.
func (h *hostile) drip(s string) {
	h.inPosition()
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			h.send(s)
		case <-h.siege.over:
			h.half()
			return
		}
	}
}

// flood sends without reading until the server closes the connection, 64 MiB at most.
func (h *hostile) flood(s string) {
	for sent := 0; sent < 64<<20 && h.send(s); sent += len(s) {
	}
	h.hear()
}

// half closes the sending side and reads the answer.
func (h *hostile) half() {
	if h.conn != nil {
		_ = h.conn.CloseWrite() // the server may have closed it
	}
	h.hear()
}

// reset closes the connection with a TCP reset.
func (h *hostile) reset() {
	if h.conn != nil {
		_ = h.conn.SetLinger(0) // makes of the close a reset
		_ = h.conn.Close()
	}
}

func (h *hostile) end() {
	h.inPosition()
	if h.conn != nil {
		_ = h.conn.Close() // most are closed
	}
}
