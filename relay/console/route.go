package console

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"mime"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/guance-relay/guance-relay/relay"
	"github.com/guance-relay/guance-relay/relay/store"
)

// A route is one call of the API, or one page.
type route struct {
	method, path string
	parameters   []string
	need         Permission
	// serve returns what is written as JSON, or nil if it has written the answer itself.
	serve func(w http.ResponseWriter, req *http.Request, p params) (any, error)
	// stays says that the call may take longer than timeout.
	stays bool
}

// table returns all routes. openapi.json describes those below api/.
func (c *console) table() []*route {
	get := func(path string, serve func(http.ResponseWriter, *http.Request, params) (any, error),
		parameters ...string) *route {
		return &route{method: "GET", path: path, parameters: parameters, need: Read, serve: serve}
	}
	post := func(path string, act action, parameters ...string) *route {
		return &route{method: "POST", path: path, parameters: parameters, need: Act, stays: true,
			serve: c.perform(path[len("api/"):], act)}
	}
	events := get("api/events", func(w http.ResponseWriter, req *http.Request, _ params) (any, error) {
		return nil, c.events(w, req)
	})
	events.stays = true
	with := func(more []string, parameters ...string) []string { return append(parameters, more...) }
	confirm := append(slices.Clone(filterParameters), "count", "through")
	return []*route{
		get("", c.overviewPage, "lang", "done", "n"),
		get("lane", c.lanePage, with(filterParameters, "lane", "offset", "lang", "done", "n")...),
		get("dead", c.deadPage, with(filterParameters, "lane", "after", "seq", "lang", "done", "n")...),
		get("open", c.openPage, "lane", "from", "lang", "done", "n"),
		get("problem", c.problemPage, "key", "lang", "done", "n"),
		get("api/openapi.json", func(w http.ResponseWriter, _ *http.Request, _ params) (any, error) {
			return nil, c.file(w, "openapi.json")
		}),
		get("api/lanes", func(http.ResponseWriter, *http.Request, params) (any, error) {
			return c.lanes(), nil
		}),
		get("api/waiting", c.waiting, with(filterParameters, "lane", "offset", "limit")...),
		get("api/open", c.open, "lane", "from", "limit"),
		get("api/recent", c.recent, "lane"),
		get("api/problem", c.problem, "key"),
		get("api/dead", c.dead, with(filterParameters, "lane", "after", "limit", "body")...),
		events,
		post("api/pause", c.pause, "lane", "minutes", "reason"),
		post("api/resume", c.resume, "lane"),
		post("api/send-now", c.sendNow, "lane", "seq"),
		post("api/drop-pending", c.dropPending, with(confirm, "lane", "seq", "all")...),
		post("api/replay", c.replay, with(confirm, "lane", "seq", "all")...),
		post("api/drop", c.drop, with(confirm, "lane", "seq", "all")...),
		post("api/test", c.test, "lane"),
	}
}

func (c *console) mux() http.Handler {
	mux := http.NewServeMux()
	for _, r := range c.routes {
		pattern := "/" + r.path
		if r.path == "" {
			pattern = "/{$}"
		}
		mux.Handle(r.method+" "+pattern, c.handler(r))
		mux.HandleFunc(pattern, func(w http.ResponseWriter, req *http.Request) {
			w.Header().Set("Allow", r.method)
			c.fail(w, req, errorf(http.StatusMethodNotAllowed, "use %s", r.method))
		})
	}
	mux.HandleFunc("GET /static/{name}", func(w http.ResponseWriter, req *http.Request) {
		if c.opts.Authorize(req) < Read {
			c.fail(w, req, errForbidden)
		} else if err := c.file(w, "static/"+req.PathValue("name")); err != nil {
			c.fail(w, req, err)
		}
	})
	mux.HandleFunc("/", func(w http.ResponseWriter, req *http.Request) {
		c.fail(w, req, errorf(http.StatusNotFound, "there is nothing at this address; "+
			"api/openapi.json says what there is"))
	})
	return mux
}

// file writes an embedded file.
func (c *console) file(w http.ResponseWriter, name string) error {
	data, err := fs.ReadFile(files, name)
	if err != nil {
		return errorf(http.StatusNotFound, "there is no such file")
	}
	w.Header().Set("Content-Type", mime.TypeByExtension(name[strings.LastIndexByte(name, '.'):]))
	_, _ = w.Write(data) // on an error the client is gone
	return nil
}

// A statusError is an error with its HTTP status.
type statusError struct {
	code int
	error
}

func (e statusError) Unwrap() error { return e.error }

func errorf(code int, format string, args ...any) error {
	return statusError{code, fmt.Errorf(format, args...)}
}

var errForbidden = errorf(http.StatusForbidden, "this needs a permission that the request has not")

// statusOf returns the HTTP status of an error.
func statusOf(err error) int {
	coded, ok := errors.AsType[statusError](err)
	switch {
	case ok:
		return coded.code
	case errors.Is(err, store.ErrNotFound), errors.Is(err, relay.ErrNoLane):
		return http.StatusNotFound
	case errors.Is(err, relay.ErrNoPage):
		return http.StatusBadRequest
	case errors.Is(err, relay.ErrStale), errors.Is(err, relay.ErrInFlight):
		return http.StatusConflict
	case errors.Is(err, store.ErrDamaged):
		return http.StatusInternalServerError
	}
	return http.StatusServiceUnavailable // a timeout, a stop, or a store that does not answer
}

// handler returns the handler of a route. Parameters are in the URL or in a form, each once. Any
// other is refused: to ignore a misspelt one could be to do something to everything.
func (c *console) handler(r *route) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		if c.opts.Authorize(req) < r.need {
			c.fail(w, req, errForbidden)
			return
		}
		if !r.stays {
			ctx, cancel := context.WithTimeout(req.Context(), timeout)
			defer cancel()
			req = req.WithContext(ctx)
		}
		p, err := paramsOf(w, req, r.parameters)
		var answer any
		if err == nil {
			answer, err = r.serve(w, req, p)
		}
		if err != nil {
			c.fail(w, req, err)
		} else if answer != nil {
			c.write(w, http.StatusOK, answer)
		}
	})
}

// params are the parameters of a request.
type params struct{ url.Values }

func paramsOf(w http.ResponseWriter, req *http.Request, known []string) (params, error) {
	req.Body = http.MaxBytesReader(w, req.Body, 1<<16)
	if err := req.ParseForm(); err != nil {
		return params{}, errorf(http.StatusBadRequest, "the parameters: %w", err)
	}
	for name, values := range req.Form {
		if !slices.Contains(known, name) || len(values) > 1 {
			return params{}, errorf(http.StatusBadRequest,
				"parameter %q: only %q are known, each once at most", name, known)
		}
	}
	return params{req.Form}, nil
}

// number returns a parameter that is a number from least to most.
func (p params) number(name string, value, least, most uint64) (uint64, error) {
	if !p.Has(name) {
		if value < least {
			return 0, errorf(http.StatusBadRequest, "parameter %q is needed", name)
		}
		return value, nil
	}
	n, err := strconv.ParseUint(p.Get(name), 10, 64)
	if err != nil || n < least || n > most {
		return 0, errorf(http.StatusBadRequest, "parameter %q: must be a number from %d to %d", name,
			least, most)
	}
	return n, nil
}

// lane returns the name of the lane of a call. If only one has a sink, the call need not name it.
func (c *console) lane(p params) (string, error) {
	lanes := c.relay.Stats().Lanes
	if !p.Has("lane") {
		served := slices.DeleteFunc(slices.Clone(lanes), func(l relay.LaneStats) bool {
			return l.State == relay.NoSink
		})
		if len(served) == 1 {
			return served[0].Name, nil
		}
		return "", errorf(http.StatusNotFound, "parameter \"lane\" is needed, as there is more than "+
			"one lane")
	}
	for _, l := range lanes {
		if l.Name == p.Get("lane") {
			return l.Name, nil
		}
	}
	return "", errorf(http.StatusNotFound, "there is no lane %q", p.Get("lane"))
}

func (c *console) write(w http.ResponseWriter, code int, v any) {
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.WriteHeader(code)
	_, _ = w.Write(encode(v)) // on an error the client is gone
}

// A status is the answer of a call that failed, or that has nothing else to say.
type status struct {
	Status  string `json:"status"` // "ok" or "error"
	Message string `json:"message,omitempty"`
}

// fail writes an error, as a page for a browser.
func (c *console) fail(w http.ResponseWriter, req *http.Request, err error) {
	if wantsPage(req) {
		c.failPage(w, req, err)
		return
	}
	c.write(w, statusOf(err), status{"error", err.Error()})
}

// wantsPage reports whether a browser shows the answer to a person.
func wantsPage(req *http.Request) bool { return accepts(req, "text/html") }

func accepts(req *http.Request, kind string) bool {
	return strings.Contains(strings.Join(req.Header.Values("Accept"), ","), kind)
}
