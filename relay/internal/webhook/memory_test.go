package webhook

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
)

// At the limit the body that has been arriving longest is evicted. Bodies that have arrived whole
// and those that cannot be aborted are not.
func TestEviction(t *testing.T) {
	limit := &memoryLimit{max: 100}
	var aborted []string
	start := func(name string, n int64) *reservation {
		r := &reservation{limit: limit, abort: func() { aborted = append(aborted, name) }}
		if refusal := r.reserve(n); refusal != nil {
			t.Errorf("%s is refused", name)
		}
		return r
	}
	expect := func(want ...string) {
		t.Helper()
		if !slices.Equal(aborted, want) {
			t.Errorf("aborted: %v, want %v", aborted, want)
		}
	}
	whole := start("whole", 30)
	if whole.arrived() != nil {
		t.Error("a body that was not evicted is refused")
	}
	a, b := start("a", 20), start("b", 20)
	stuck := &reservation{limit: limit}
	if stuck.reserve(10) != nil || a.reserve(20) != nil { // a is older than b, whatever it reads
		t.Error("refused below the limit")
	}
	expect()
	c := start("c", 1)
	expect("a")
	if a.reserve(1) == nil || a.arrived() == nil {
		t.Error("an evicted body goes on")
	}
	a.release() // frees nothing more
	if limit.used != 61 {
		t.Errorf("%d bytes are reserved, want 61", limit.used)
	}
	if b.reserve(81) == nil { // it may evict all, and itself
		t.Error("a body takes more than there is")
	}
	expect("a", "b")
	if stuck.reserve(61) == nil {
		t.Error("a body takes more than is left beside those that have arrived")
	}
	expect("a", "b", "c")
	for _, r := range []*reservation{whole, a, b, c, stuck, whole} {
		r.release()
	}
	if limit.used != 0 || limit.arriving.Len() != 0 {
		t.Errorf("%d bytes and %d bodies are left, want none", limit.used, limit.arriving.Len())
	}
}

// Slow bodies that hold all the memory do not keep out a quick one: the first of them is evicted,
// and the others go on.
func TestSlowBodiesAreEvicted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		listener := newPipes()
		r := newReceiver(t, Config{NoAuth: true, MaxBytes: 64 << 10, MaxHeldBytes: 256 << 10})
		server := &http.Server{Handler: handler(r, func(*http.Request) {})}
		var serving sync.WaitGroup
		serving.Go(func() { _ = server.Serve(listener) }) // ends with Close
		defer serving.Wait()
		defer server.Close()
		send := func(c net.Conn, text string) {
			t.Helper()
			if _, err := io.WriteString(c, text); err != nil {
				t.Fatal(err)
			}
			synctest.Wait()
		}
		answered := func(name string, c net.Conn, code int) {
			t.Helper()
			resp, err := http.ReadResponse(bufio.NewReader(c), nil)
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			if resp.StatusCode != code || resp.Body.Close() != nil {
				t.Errorf("%s: %d, want %d", name, resp.StatusCode, code)
			}
			synctest.Wait()
		}
		begin := func(c net.Conn, length, sent int) {
			t.Helper()
			send(c, fmt.Sprintf("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n%s",
				length, strings.Repeat(" ", sent)))
		}
		quick := listener.dial()
		defer quick.Close()
		quickly := func() {
			t.Helper()
			begin(quick, 32<<10, 32<<10)
			answered("a quick body", quick, http.StatusAccepted)
		}
		quickly() // it arrives before the others, and is not among the bodies to evict
		var slow [4]net.Conn
		for i := range slow {
			slow[i] = listener.dial()
			begin(slow[i], 62<<10, 60<<10)
		}
		for range 2 { // an evicted body frees its memory once
			quickly()
		}
		answered("the first slow body", slow[0], http.StatusServiceUnavailable)
		for i := 1; i < len(slow); i++ {
			send(slow[i], strings.Repeat(" ", 2<<10))
			answered(fmt.Sprint("slow body ", i), slow[i], http.StatusAccepted)
		}
		for _, c := range slow {
			_ = c.Close() // the server may have closed it
		}
	})
}

// Decoded events take memory beside their members.
func TestReserveEvents(t *testing.T) {
	r := newReceiver(t, Config{NoAuth: true, MaxBytes: eventSize, MaxHeldBytes: 3 * eventSize})
	body, refusal := r.Receive(httptest.NewRecorder(), post("text"))
	if refusal != nil {
		t.Fatal(refusal)
	}
	defer body.Release()
	if refusal := body.ReserveEvents(2); refusal != nil {
		t.Errorf("two events: %v, want none", refusal)
	}
	if refusal := body.ReserveEvents(1); refusal == nil || refusal.Reason != "busy" {
		t.Errorf("a third event: %v, want busy", refusal)
	}
}

// Two large bodies are decoded at once. A third waits until one is released or its context is done.
// A small body does not wait.
func TestLargeBodiesWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newReceiver(t, Config{NoAuth: true})
		body := func(text string) *Body {
			b, refusal := r.Receive(httptest.NewRecorder(), post(text))
			if refusal != nil {
				t.Fatal(refusal)
			}
			return b
		}
		var large [4]*Body
		for i := range large {
			large[i] = body(strings.Repeat(",", largeSize/(memberSize+1)))
		}
		for _, b := range large[:maxLarge] {
			if refusal := b.ReserveDecoding(t.Context()); refusal != nil {
				t.Fatal(refusal)
			}
		}
		ended, cancel := context.WithCancel(t.Context())
		cancel()
		if refusal := large[2].ReserveDecoding(ended); refusal == nil || refusal.Reason != "busy" {
			t.Errorf("a large body whose context is done: %v, want busy", refusal)
		}
		large[2].Release() // it has no slot to free
		small := body(strings.Repeat(",", largeSize/(memberSize+1)-1))
		if refusal := small.ReserveDecoding(ended); refusal != nil {
			t.Errorf("a small body: %v", refusal)
		}
		small.Release()
		admitted := false
		go func() { admitted = large[3].ReserveDecoding(t.Context()) == nil }()
		synctest.Wait()
		if admitted {
			t.Error("a large body does not wait")
		}
		large[0].Release()
		large[0].Release()
		synctest.Wait()
		if !admitted {
			t.Error("a large body waits although a slot is free")
		}
		large[1].Release()
		large[3].Release()
		if len(r.largeSlots) != 0 || r.memory.used != 0 {
			t.Errorf("%d slots and %d bytes are left, want none", len(r.largeSlots), r.memory.used)
		}
	})
}
