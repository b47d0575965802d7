package main

import (
	"io"
	"net/http"
	"sync"
)

// A gate is the handler of webhooks, which a reload replaces. Between the end of its body and its
// answer a webhook holds the gate open. So while a reload holds it shut, no webhook is routed, and
// a slow body holds up nobody.
type gate struct {
	open sync.RWMutex
	h    http.Handler // guarded by open
}

// ServeHTTP implements http.Handler.
func (g *gate) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	passage := &passage{gate: g}
	defer passage.leave()
	if req.Body == nil || req.Body == http.NoBody {
		passage.enter()
	} else {
		copied := *req
		copied.Body = &gatedBody{req.Body, passage, req.ContentLength}
		req = &copied
	}
	// A webhook that has come before a reload and ends after it is checked by the rules from before.
	g.handler().ServeHTTP(w, req)
}

func (g *gate) handler() http.Handler {
	g.open.RLock()
	defer g.open.RUnlock()
	return g.h
}

// A passage is one webhook at the gate.
type passage struct {
	gate    *gate
	entered bool
}

func (p *passage) enter() {
	if !p.entered {
		p.gate.open.RLock()
		p.entered = true
	}
}

func (p *passage) leave() {
	if p.entered {
		p.gate.open.RUnlock()
	}
}

// A gatedBody enters the gate at the end of a body.
type gatedBody struct {
	io.ReadCloser
	passage *passage
	left    int64 // of the length that the request announces; negative: it announces none
}

// Read implements io.Reader.
func (b *gatedBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	known := b.left >= 0
	b.left -= int64(n)
	if err != nil || known && b.left <= 0 {
		b.passage.enter()
	}
	return n, err
}
