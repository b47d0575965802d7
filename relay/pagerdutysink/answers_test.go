package pagerdutysink_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/guance-relay/guance-relay/guance"
	"github.com/guance-relay/guance-relay/guance/guancetest"
	"github.com/guance-relay/guance-relay/pagerduty"
	"github.com/guance-relay/guance-relay/pagerduty/pagerdutytest"
	"github.com/guance-relay/guance-relay/relay"
	"github.com/guance-relay/guance-relay/relay/pagerdutysink"
)

// through checks that a problem of the network or the key kills none of fifty alerts.
func through(t *testing.T, lasts time.Duration, fault pagerdutytest.Fault) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		fake := pagerdutytest.NewTransport()
		fake.Outage(lasts, fault)
		r, _ := start(t, fake, nil)
		for i := range 50 {
			if _, err := r.Accept(t.Context(), guancetest.NewProblem("disk", "n",
				fmt.Sprint(i)).Fault(guance.LevelCritical)); err != nil {
				t.Fatal(err)
			}
		}
		time.Sleep(lasts)
		if open := len(fake.Open()); open != 0 && !fault.Ingest {
			t.Errorf("%d incidents are open before the trouble is over", open)
		}
		if delivered := r.Stats().Lanes[0].Delivered; delivered != 0 {
			t.Errorf("%d count as delivered in the trouble", delivered)
		}
		time.Sleep(2 * time.Minute)
		dead, err := r.DeadLetters(t.Context(), "pagerduty", 0, 100)
		if err != nil || len(dead) != 0 || len(fake.Open()) != 50 {
			t.Errorf("%v: %d dead letters, %d incidents open, %v; want none and 50", fault, len(dead),
				len(fake.Open()), err)
		}
	})
}

const page, html = "<html>please log in</html>", "text/html"

func TestReport03TroubleOfTheRoadKillsNothing(t *testing.T) {
	for _, status := range []int{301, 302, 307, 400, 401, 402, 403, 404, 405, 407, 410, 413, 415,
		421, 422, 451} {
		through(t, time.Second, pagerdutytest.Fault{Status: status, Body: page, ContentType: html,
			Location: "https://login.example.com/"})
	}
}

func TestReport04AnswersOfAPortalAreTriedAgain(t *testing.T) {
	for _, fault := range []pagerdutytest.Fault{
		{Status: 200, Body: page, ContentType: html}, {Status: 202, Body: page},
		{Status: 299, Body: page}, {Status: 204, NoBody: true},
		{Status: 200, Body: `{"status":200,"message":"welcome"}`},
		{Status: 202, Connection: pagerdutytest.CutAnswer, Ingest: true},
	} {
		through(t, time.Minute, fault)
	}
}

func TestReport05WrongKeyIsWaitedFor(t *testing.T) {
	through(t, 10*time.Minute, pagerdutytest.Fault{Status: 400, Body: "Invalid routing key",
		ContentType: "text/plain"})
	through(t, 10*time.Minute, pagerdutytest.Fault{Status: 400,
		Body: `{"status":"invalid event","message":"Event object is invalid","errors":["Length of 'routing_key' is incorrect (should be 32 characters)"]}`})
	// A recovery under a wrong key is waited for too.
	synctest.Test(t, func(t *testing.T) {
		fake := pagerdutytest.NewTransport()
		r, _ := start(t, fake, nil)
		p := guancetest.NewProblem("disk", "host", "web001")
		say(t, r, p.Fault(guance.LevelCritical))
		fake.AcceptKeys("another0another0another0another0")
		say(t, r, p.Recover())
		time.Sleep(10 * time.Minute)
		if reason := r.Stats().Lanes[0].Reason; !strings.Contains(reason, "PagerDuty account") {
			t.Errorf("the lane says %q, want it to say who to ask", reason)
		}
		fake.AcceptKeys()
		time.Sleep(time.Minute)
		if open := fake.Open(); len(open) != 0 {
			t.Errorf("%+v is open", open)
		}
	})
}

// The error of a delivery reports lost answers, and only those.
func TestErrorsTellOfLostAnswers(t *testing.T) {
	lost := pagerdutytest.Fault{Connection: pagerdutytest.DropAfterRead}
	for name, test := range map[string]struct {
		script   []pagerdutytest.Fault
		reported bool
	}{
		"none":                 {nil, false},
		"refused":              {[]pagerdutytest.Fault{{Status: 403}}, false},
		"throttled":            {[]pagerdutytest.Fault{{Status: 429}}, false},
		"lost again and again": {[]pagerdutytest.Fault{lost, lost, lost}, true},
		"lost, then throttled": {[]pagerdutytest.Fault{lost, {Status: 429}}, true},
	} {
		synctest.Test(t, func(t *testing.T) {
			fake := pagerdutytest.NewTransport()
			fake.Script(test.script...)
			reported := false
			sink := recording{pagerdutysink.New(newClient(t, fake), nil), func(err error) {
				e, ok := errors.AsType[interface {
					error
					AnswerLost() bool
				}](err)
				reported = reported || ok && e.AnswerLost()
			}}
			event := guancetest.NewProblem("disk", "host", "web001").Fault(guance.LevelCritical)
			_ = sink.Deliver(t.Context(), &relay.Delivery{Event: event, Problem: event.ProblemKey()})
			if reported != test.reported {
				t.Errorf("%s: a lost answer is reported: %t", name, reported)
			}
		})
	}
}

// If an answer is lost in a delivery that then succeeds, the lane sends the recovery twice.
func TestLostAnswerIsToldWhenTheNextOneSucceeds(t *testing.T) {
	for name, test := range map[string]struct {
		first    pagerdutytest.Fault
		resolves int
	}{
		"lost":    {pagerdutytest.Fault{Connection: pagerdutytest.DropAfterRead}, 2},
		"refused": {pagerdutytest.Fault{Status: 500}, 1},
	} {
		synctest.Test(t, func(t *testing.T) {
			fake := pagerdutytest.NewTransport()
			fake.Script(test.first)
			r, _ := start(t, fake, nil)
			p := guancetest.NewProblem("disk", "host", "web001")
			say(t, r, p.Fault(guance.LevelCritical))
			if delivered := r.Stats().Lanes[0].Delivered; delivered != 1 || len(fake.Requests()) != 2 {
				t.Fatalf("%s: %d delivered with %d requests, want one delivery of two", name, delivered,
					len(fake.Requests()))
			}
			say(t, r, p.Recover())
			time.Sleep(5 * time.Minute)
			if resolves := len(fake.Requests()) - 2; resolves != test.resolves {
				t.Errorf("%s: %d resolves were sent, want %d", name, resolves, test.resolves)
			}
		})
	}
}

// recording records the errors of a sink.
type recording struct {
	relay.Sink
	see func(error)
}

func (r recording) Deliver(ctx context.Context, d *relay.Delivery) error {
	err := r.Sink.Deliver(ctx, d)
	r.see(err)
	return err
}

func newClient(t *testing.T, fake *pagerdutytest.Transport) *pagerduty.Client {
	t.Helper()
	k, err := pagerduty.ParseRoutingKey(key)
	if err != nil {
		t.Fatal(err)
	}
	client, err := pagerduty.NewClient(k, &pagerduty.Options{Transport: fake})
	if err != nil {
		t.Fatal(err)
	}
	return client
}

// A link that is no web address is left out, and the alert is sent.
func TestLinksAreOfTheWeb(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fake := pagerdutytest.NewTransport()
		r, _ := start(t, fake, nil)
		for i, link := range []string{"javascript:alert(1)", "data:text/html,x", "file:///etc/passwd",
			"https://console.guance.com/e"} {
			events, err := guance.Decode(fmt.Appendf(nil,
				`{"df_status":"critical","df_title":"t","df_event_id":"e%d","df_event_link":%q}`, i, link), "")
			if err != nil {
				t.Fatal(err)
			}
			say(t, r, events...)
			body := string(fake.Requests()[i].Body)
			if want := i == 3; strings.Contains(body, link) != want ||
				strings.Contains(body, "client_url") != want || strings.Contains(body, `"links"`) != want {
				t.Errorf("%s: sent %s", link, body)
			}
		}
	})
}
