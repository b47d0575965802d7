package main

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/guance-relay/guance-relay/guance"
	"github.com/guance-relay/guance-relay/guance/guancetest"
)

// A load posts events over connections that are kept. It writes requests that were made beforehand and reads answers without a client
// library: what the load takes of the processor, the side under test has not.
type load struct {
	conns []*conn
	next  atomic.Uint64 // number of the next event
}

type conn struct {
	net.Conn
	answers *bufio.Reader
	request *request
	took    []time.Duration
}

// newLoad opens connections to a URL.
func newLoad(url string, conns, problems int) (*load, error) {
	address, path, _ := strings.Cut(strings.TrimPrefix(url, "http://"), "/")
	l := &load{}
	for range conns {
		c, err := net.Dial("tcp", address)
		if err != nil {
			l.close()
			return nil, err
		}
		l.conns = append(l.conns, &conn{Conn: c, answers: bufio.NewReader(c), request: newRequest(address, "/"+path, problems)})
	}
	return l, nil
}

func (l *load) close() {
	for _, c := range l.conns {
		_ = c.Close()
	}
}

// burst has each connection post n events, one after the other.
func (l *load) burst(n int) error {
	errs := make([]error, len(l.conns))
	var wg sync.WaitGroup
	for i, c := range l.conns {
		wg.Go(func() {
			for range n {
				start := time.Now()
				if errs[i] = c.post(l.next.Add(1)); errs[i] != nil {
					return
				}
				c.took = append(c.took, time.Since(start))
			}
		})
	}
	wg.Wait()
	return errors.Join(errs...)
}

func (c *conn) post(event uint64) error {
	if _, err := c.Write(c.request.of(event)); err != nil {
		return err
	}
	answer, err := http.ReadResponse(c.answers, nil)
	if err != nil {
		return err
	}
	body, err := io.ReadAll(answer.Body)
	if err == nil && answer.StatusCode != http.StatusAccepted {
		err = fmt.Errorf("%s: %s", answer.Status, body)
	}
	return err
}

// latencies returns what each request took, and forgets it.
func (l *load) latencies() (all []time.Duration) {
	for _, c := range l.conns {
		all, c.took = append(all, c.took...), nil
	}
	return all
}

// A request is one webhook of the usual size, with a place in it for the number of the event and one for that of the problem.
type request struct {
	text     []byte
	places   []place
	problems uint64
}

type place struct {
	at      int
	problem bool
}

// The numbers have as many digits as these.
const (
	eventMark   = "0e0e0e0e0e0e"
	problemMark = "0b0b0b0b0b0b"
)

func newRequest(host, path string, problems int) *request {
	body := webhook(guance.LevelCritical)
	head := fmt.Sprintf("POST %s HTTP/1.1\r\nHost: %s\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n", path, host, len(body))
	r := &request{text: append([]byte(head), body...), problems: uint64(problems)}
	for _, mark := range []string{eventMark, problemMark} {
		for at := 0; ; at += len(mark) {
			i := bytes.Index(r.text[at:], []byte(mark))
			if i < 0 {
				break
			}
			at += i
			r.places = append(r.places, place{at, mark == problemMark})
		}
	}
	return r
}

// of returns the request of an event; it is good until the next call.
func (r *request) of(event uint64) []byte {
	for _, p := range r.places {
		n := event
		if p.problem {
			n %= r.problems
		}
		digits := r.text[p.at : p.at+len(eventMark)]
		for i := len(digits) - 1; i >= 0; i-- {
			digits[i] = byte('0' + n%10)
			n /= 10
		}
	}
	return r.text
}

// webhook is the body of a fault, with marks for its numbers.
func webhook(level guance.Level) []byte {
	e := guancetest.NewProblem("disk usage", "host", "web"+problemMark).Fault(level)
	body := strings.ReplaceAll(string(e.Raw), e.EventID, marked(e.EventID, eventMark))
	return []byte(strings.ReplaceAll(body, e.EventRef, marked(e.EventRef, problemMark)))
}

// marked puts a mark at the end of an identifier.
func marked(id, mark string) string { return id[:len(id)-len(mark)] + mark }
