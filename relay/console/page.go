package console

import (
	"bytes"
	"cmp"
	"encoding/json"
	"html/template"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/guance-relay/guance-relay/guance"
	"github.com/guance-relay/guance-relay/relay"
)

// A page is what the templates show.
type page struct {
	Lang   language
	Name   string // of the template
	Title  string
	Now    time.Time
	User   string
	May    bool   // act
	Done   string // what the last action did
	Switch string // the address of the page in the other language
	Up     string // from the address of the page to the overview

	Lanes   lanes
	Lane    *lane
	Waiting *waitingPage
	Filter  url.Values // what the page is filtered by; the link to its next page has it too
	Levels  []string
	Open    *openPage
	Confirm *confirmation
	Recent  []relay.EndedEntry
	Problem *problemPage
	Dead    *deadPage
	Body    string // of one dead letter
	Error   string
	Code    int
}

// pageEntries is how many entries a page shows.
const pageEntries = 50

var templates = template.Must(template.New("").Funcs(template.FuncMap{
	"clean": clean,
	"state": func(l lane) string { return cmp.Or(stateWords[l.State], string(l.State)) },
	"why":   func(w waiting) string { return cmp.Or(whyWords[w.Why], w.Reason) },
	"pair":  func(a, b any) []any { return []any{a, b} },
	"deref": func(l *lane) lane { return *l },
	"iso":   func(t time.Time) string { return t.UTC().Format(time.RFC3339) },
	"round": round,
	"rate":  rate,
	// A reason often ends with what to do, which the page says in a place of its own.
	"reason": func(s *relay.Stuck) string {
		return strings.TrimSuffix(s.Reason, ". Hint: "+s.Remedy)
	},
	"lowered": func(l lane) bool { return round(l.PerMinute) < round(l.Budget) },
	"chart":   chart,
	"level":   func(l guance.Level) string { return l.String() },
	"shown": func(problem string) string {
		text := clean(problem)
		if len(text) <= 40 {
			return text
		}
		return head(text, 37) + "…"
	},
}).ParseFS(files, "templates/*.html"))

func round(f float64) int { return int(f + 0.5) }

// rate returns about how many attempts a lane makes in a minute: in the last whole minute, or in
// the running one if that has more already.
func rate(l lane) int {
	if len(l.LastHour) < 2 {
		return 0
	}
	return max(l.LastHour[len(l.LastHour)-2], l.LastHour[len(l.LastHour)-1])
}

// A bar is one minute of a chart.
type bar struct {
	X, Y, Height int
}

// A chartView is a chart of attempts in each minute, 60 by 20 units, and the line of the budget.
type chartView struct {
	Bars   []bar
	Budget int // y
	Most   int
}

func chart(l lane) chartView {
	most := max(1, int(l.Budget+0.5))
	for _, n := range l.LastHour {
		most = max(most, n)
	}
	v := chartView{Most: most, Budget: 20 - 19*int(l.Budget+0.5)/most}
	for i, n := range l.LastHour {
		if n > 0 {
			height := max(1, 19*n/most)
			v.Bars = append(v.Bars, bar{i, 20 - height, height})
		}
	}
	return v
}

// newPage returns a page with what all of them have.
func (c *console) newPage(w http.ResponseWriter, req *http.Request, name, title string) *page {
	p := &page{
		Lang: languageOf(req), Name: name, Title: title, Now: time.Now(), User: c.user(req),
		May: c.opts.Authorize(req) >= Act,
	}
	if l := language(req.FormValue("lang")); l == english || l == chinese {
		http.SetCookie(w, &http.Cookie{ // it is no secret
			Name: languageCookie, Value: string(l), MaxAge: 365 * 24 * 3600, HttpOnly: true,
			SameSite: http.SameSiteStrictMode,
		})
	}
	if words := doneWords[req.FormValue("done")]; words != "" {
		p.Done = p.Lang.say(words)
		if strings.HasSuffix(words, ":") {
			p.Done += " " + clean(req.FormValue("n"))
		}
	}
	q := req.URL.Query()
	q.Del("done")
	q.Del("n")
	q.Del("lang")
	at := cmp.Or(strings.TrimPrefix(req.URL.Path, "/"), "./")
	other := chinese
	if p.Lang == chinese {
		other = english
	}
	q.Set("lang", string(other))
	p.Switch = at + "?" + q.Encode()
	return p
}

// T returns a text in the language of the page.
func (p *page) T(text string) string { return p.Lang.say(text) }

// Why returns a reason of the relay in the language of the page.
func (p *page) Why(reason string) string { return clean(p.Lang.reason(reason)) }

// When returns how far a time is from now.
func (p *page) When(t time.Time) string { return p.Lang.when(t, p.Now) }

// Soon is When for a prediction: one that has just passed means now.
func (p *page) Soon(t time.Time) string {
	if t.Before(p.Now) {
		t = p.Now
	}
	return p.When(t)
}

// Says returns the state and level of an event in words.
func (p *page) Says(says string) string {
	if p.Lang != chinese {
		return says
	}
	var words []string
	for part := range strings.SplitSeq(says, ", ") {
		words = append(words, p.T(part))
	}
	return strings.Join(words, "，")
}

// WorstFirst returns all lanes, those first that somebody should look at.
func (p *page) WorstFirst() []lane {
	return slices.SortedStableFunc(slices.Values(p.Lanes.Lanes), func(a, b lane) int {
		return slices.Index(conditions, b.Condition) - slices.Index(conditions, a.Condition)
	})
}

// Troubled returns the lanes that somebody should look at.
func (p *page) Troubled() []lane {
	return slices.DeleteFunc(slices.Clone(p.Lanes.Lanes), func(l lane) bool {
		return l.Condition != trouble
	})
}

// Counts returns the levels that have pending entries, the worst first.
func (p *page) Counts(c relay.LevelCounts) (counts []levelCount) {
	for level := guance.LevelFatal; level >= guance.LevelNone; level-- {
		if c[level] > 0 {
			counts = append(counts, levelCount{level.String(), c[level]})
		}
	}
	return counts
}

// A levelCount is the number of pending entries of one level.
type levelCount struct {
	Level string
	N     int
}

// render writes a page.
func (c *console) render(w http.ResponseWriter, p *page, code int) {
	var b bytes.Buffer
	if err := templates.ExecuteTemplate(&b, "page", p); err != nil {
		c.log.Error("console: a page cannot be shown", "page", p.Name, "error", err.Error())
		c.write(w, http.StatusInternalServerError, status{"error", "the page cannot be shown"})
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("Content-Language", string(p.Lang))
	w.Header().Set("Vary", "Accept-Language, Cookie")
	w.WriteHeader(code)
	_, _ = w.Write(b.Bytes()) // on an error the client is gone
}

func (c *console) failPage(w http.ResponseWriter, req *http.Request, err error) {
	_ = req.ParseForm() // languageOf needs it; the error is that of the request
	p := c.newPage(w, req, "error", "That did not work")
	p.Error, p.Code = clean(err.Error()), statusOf(err)
	p.Switch, p.May = "", true
	if strings.HasPrefix(req.URL.Path, "/api/") {
		p.Up = "../"
	}
	c.render(w, p, p.Code)
}

func (c *console) overviewPage(w http.ResponseWriter, req *http.Request, _ params) (any, error) {
	p := c.newPage(w, req, "overview", "Is everything getting through?")
	p.Lanes = c.lanes()
	c.render(w, p, http.StatusOK)
	return nil, nil
}

// setFilter sets what the page is filtered by.
func (p *page) setFilter(q params) {
	p.Filter = make(url.Values)
	for _, name := range filterParameters {
		if q.Get(name) != "" {
			p.Filter.Set(name, q.Get(name))
		}
	}
	for level := guance.LevelFatal; level >= guance.LevelNone; level-- {
		p.Levels = append(p.Levels, level.String())
	}
}

// Query returns the filter as a part of a URL.
func (p *page) Query() template.URL {
	return template.URL(p.Filter.Encode()) // Encode leaves nothing in it that would end an attribute
}

// A confirmation is what a person is asked before an action on all that matches.
type confirmation struct {
	Action string // the address of the call
	Text   string // what happens
	Button string
	Result result
	Back   string
}

// confirmPage asks whether an action is to be done that a first call has counted.
func (c *console) confirmPage(
	w http.ResponseWriter, req *http.Request, name string, q params, r result,
) {
	p := c.newPage(w, req, "confirm", "Are you sure?")
	p.Switch, p.Up = "", "../"
	words := confirmWords[name]
	p.setFilter(q)
	call, back := maps.Clone(p.Filter), maps.Clone(p.Filter)
	call.Set("lane", r.Lane)
	back.Set("lane", r.Lane)
	call.Set("count", strconv.Itoa(r.Matching))
	call.Set("through", strconv.FormatUint(r.Through, 10))
	if q.Has("all") {
		call.Set("all", q.Get("all"))
	}
	p.Confirm = &confirmation{
		Action: name + "?" + call.Encode(), Text: words.text, Button: words.button, Result: r,
		Back: "../" + pageOf(name) + "?" + back.Encode(),
	}
	c.render(w, p, http.StatusOK)
}

// pageOf returns the page that shows what an action did.
func pageOf(action string) string {
	if action == "replay" || action == "drop" {
		return "dead"
	}
	return "lane"
}

// setLane sets the lane of a page.
func (c *console) setLane(p *page, name string) {
	p.Lanes = c.lanes()
	for i := range p.Lanes.Lanes {
		if p.Lanes.Lanes[i].Name == name {
			p.Lane = &p.Lanes.Lanes[i]
		}
	}
}

func (c *console) lanePage(w http.ResponseWriter, req *http.Request, q params) (any, error) {
	name, err := c.lane(q)
	if err != nil {
		return nil, err
	}
	p := c.newPage(w, req, "lane", "Waiting room")
	c.setLane(p, name)
	p.setFilter(q)
	if p.Waiting, err = c.readWaiting(req, q, pageEntries); err != nil {
		if statusOf(err) == http.StatusBadRequest {
			return nil, err
		}
		p.Error = clean(err.Error()) // the rest of the page is worth more than an error
	}
	p.Recent = c.relay.Recent(name)
	c.render(w, p, http.StatusOK)
	return nil, nil
}

func (c *console) openPage(w http.ResponseWriter, req *http.Request, q params) (any, error) {
	open, err := c.readOpen(req, q, pageEntries)
	if err != nil {
		return nil, err
	}
	p := c.newPage(w, req, "open", "Open at the target")
	p.Open = open
	c.setLane(p, open.Lane)
	c.render(w, p, http.StatusOK)
	return nil, nil
}

func (c *console) problemPage(w http.ResponseWriter, req *http.Request, q params) (any, error) {
	found, err := c.readProblem(req, q)
	if err != nil {
		return nil, err
	}
	p := c.newPage(w, req, "problem", "The story of a problem")
	p.Problem = found
	c.render(w, p, http.StatusOK)
	return nil, nil
}

func (c *console) deadPage(w http.ResponseWriter, req *http.Request, q params) (any, error) {
	after, err := q.number("after", 0, 0, 1<<63)
	if err != nil {
		return nil, err
	}
	seq, err := q.number("seq", 0, 0, 1<<63)
	if err != nil {
		return nil, err
	}
	limit := pageEntries
	if seq > 0 {
		after, limit = seq-1, 1
	}
	p := c.newPage(w, req, "dead", "Dead letters")
	p.setFilter(q)
	if p.Dead, err = c.readDead(req, q, after, limit, seq > 0); err != nil {
		return nil, err
	}
	if seq > 0 {
		if len(p.Dead.Entries) == 0 || p.Dead.Entries[0].Seq != seq {
			return nil, errorf(http.StatusNotFound, "there is no dead letter %d in this lane", seq)
		}
		var indented bytes.Buffer
		body := p.Dead.Entries[0].Body
		if json.Indent(&indented, body, "", "  ") != nil {
			indented.Write(body)
		}
		p.Body, p.Dead.Next = cleanLines(indented.String()), 0
	}
	c.setLane(p, p.Dead.Lane)
	c.render(w, p, http.StatusOK)
	return nil, nil
}
