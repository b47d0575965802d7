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

// A load posts events over connections that are kept. What it takes of the processor the side under
// test has not, so that there are two kinds: one writes requests that were made beforehand and
// reads little of the answers, the other is net/http's client.
type load struct {
	posters []*poster
	next    atomic.Uint64 // number of the next event
}

// A poster posts one event after the other.
type poster struct {
	request *request
	send    func(*request) error
	close   func()
	took    []time.Duration
}

// newLoad opens connections to a URL, for bodies with the marks of a webhook and of so many
// problems, perhaps with net/http's client.
func newLoad(body []byte, url string, conns, problems int, client bool) (*load, error) {
	address, path, _ := strings.Cut(strings.TrimPrefix(url, "http://"), "/")
	l := &load{}
	for range conns {
		s := &poster{request: newRequest(address, "/"+path, body, problems)}
		if client {
			s.throughClient(url)
		} else if err := s.overConnection(address); err != nil {
			l.close()
			return nil, err
		}
		l.posters = append(l.posters, s)
	}
	return l, nil
}

func (l *load) close() {
	for _, s := range l.posters {
		s.close()
	}
}

// overConnection has s write to a connection.
func (s *poster) overConnection(address string) error {
	conn, err := net.Dial("tcp", address)
	if err != nil {
		return err
	}
	answers := bufio.NewReader(conn)
	s.close = func() { _ = conn.Close() }
	s.send = func(r *request) error {
		if _, err := conn.Write(r.text); err != nil {
			return err
		}
		return accepted(http.ReadResponse(answers, nil))
	}
	return nil
}

// throughClient has s use a client of one connection.
func (s *poster) throughClient(url string) {
	transport := &http.Transport{MaxConnsPerHost: 1}
	client := &http.Client{Transport: transport}
	s.close = transport.CloseIdleConnections
	s.send = func(r *request) error {
		return accepted(client.Post(url, "application/json", bytes.NewReader(r.body())))
	}
}

// accepted reads an answer and reports any but 202.
func accepted(answer *http.Response, err error) error {
	if err != nil {
		return err
	}
	body, err := io.ReadAll(answer.Body)
	if err == nil && answer.StatusCode/100 != 2 { // not every peer says 202
		err = fmt.Errorf("%s: %s", answer.Status, body)
	}
	return errors.Join(err, answer.Body.Close())
}

// burst has each poster post n events.
func (l *load) burst(n int) error {
	errs := make([]error, len(l.posters))
	var wg sync.WaitGroup
	for i, s := range l.posters {
		wg.Go(func() {
			for range n {
				s.request.number(l.next.Add(1))
				start := time.Now()
				if errs[i] = s.send(s.request); errs[i] != nil {
					return
				}
				s.took = append(s.took, time.Since(start))
			}
		})
	}
	wg.Wait()
	return errors.Join(errs...)
}

// latencies returns what each request took, and forgets it.
func (l *load) latencies() (all []time.Duration) {
	for _, s := range l.posters {
		all, s.took = append(all, s.took...), nil
	}
	return all
}

// A request is one webhook of the usual size, with a place in it for the number of the event and
// one for that of the problem.
type request struct {
	text     []byte
	head     int // where the body begins
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

func newRequest(host, path string, body []byte, problems int) *request {
	head := fmt.Sprintf("POST %s HTTP/1.1\r\nHost: %s\r\nContent-Type: "+
		"application/json\r\nContent-Length: %d\r\n\r\n", path, host, len(body))
	r := &request{text: append([]byte(head), body...), head: len(head), problems: uint64(problems)}
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

func (r *request) body() []byte { return r.text[r.head:] }

// number makes it the request of an event.
func (r *request) number(event uint64) {
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
}

// webhook is the body of a fault, with marks for its numbers.
func webhook(level guance.Level) []byte {
	fault, _ := problem(level)
	return fault
}

// problem is the two bodies of a problem's life, with the same marks.
func problem(level guance.Level) (fault, recovery []byte) {
	p := guancetest.NewProblem("disk usage", "host", "web"+problemMark)
	f, r := p.Fault(level), p.Recover()
	marks := strings.NewReplacer(f.EventID, marked(f.EventID, eventMark), r.EventID,
		marked(r.EventID, eventMark), f.EventRef, marked(f.EventRef, problemMark))
	return []byte(marks.Replace(string(f.Raw))), []byte(marks.Replace(string(r.Raw)))
}

// marked puts a mark at the end of an identifier.
func marked(id, mark string) string { return id[:len(id)-len(mark)] + mark }
