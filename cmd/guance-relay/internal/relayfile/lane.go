package relayfile

import (
	"bytes"
	"cmp"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/guance-relay/guance-relay/guance"
	"github.com/guance-relay/guance-relay/pagerduty"
	"github.com/guance-relay/guance-relay/relay"
	"github.com/guance-relay/guance-relay/relay/pagerdutysink"
	"github.com/guance-relay/guance-relay/relay/webhooksink"
)

// A Target is a lane that is ready to be given to the relay.
type Target struct {
	Name    string
	Type    string
	Address string // scheme and host, for people
	Account string // the fingerprint of a routing key; empty for other lanes
	Sink    relay.Sink
	Options *relay.SinkOptions
	Signed  bool   // the request has a signature, which Explain does not show
	Digest  string // of all settings, with their secrets: a lane with another one has changed
	// Check reads the file of the key again and returns why it cannot be used. Nil: there is none.
	Check func() error
	// Try reaches the target without paging anybody and returns what it said.
	Try func(ctx context.Context) (string, error)
}

// levels are the names of levels.
var levels = map[string]guance.Level{
	"none": guance.LevelNone, "info": guance.LevelInfo, "nodata": guance.LevelNoData,
	"warning": guance.LevelWarning, "error": guance.LevelError, "critical": guance.LevelCritical,
	"fatal": guance.LevelFatal,
}

// lane checks a lane and makes its sink.
func (b *build) lane(f *File, name string) (*Target, error) {
	at, l := path{"lanes", name}, f.Lanes[name]
	if !isLaneName(name) {
		return nil, b.doc.errorf(at, "use 1 to 64 bytes without slash", "not a name of a lane")
	}
	if reserved(name) || reserved(l.Formerly) {
		return nil, b.doc.errorf(at, "choose another name", "the relay itself uses the name")
	}
	if err := b.fields(at, l); err != nil {
		return nil, err
	}
	t := &Target{Name: name, Type: l.Type, Options: &relay.SinkOptions{}}
	before := len(b.secrets.values)
	var err error
	switch l.Type {
	case "pagerduty":
		err = b.pagerduty(at, l, t)
	case "webhook":
		err = b.webhook(at, l, t)
	case "log":
		t.Sink, t.Address = logSink{}, "the log"
		t.Try = func(context.Context) (string, error) { return "nothing to try", nil }
	}
	if err != nil {
		return nil, err
	}
	o := t.Options
	o.Fallback, o.Formerly, o.MaxAttempts = name == f.Fallback, l.Formerly, l.MaxAttempts
	o.PerMinute = cmp.Or(l.PerMinute, o.PerMinute)
	o.Concurrency = cmp.Or(l.Concurrency, o.Concurrency)
	if o.AttemptTimeout, err = b.duration(at.with("attempt_timeout"), l.AttemptTimeout); err != nil {
		return nil, err
	}
	if o.MaxAge, err = b.duration(at.with("max_age"), l.MaxAge); err != nil {
		return nil, err
	}
	if l.Formerly != "" {
		for _, other := range sortedKeys(f.Lanes) {
			switch {
			case other == l.Formerly:
				return nil, b.doc.errorf(at.with("formerly"), "remove that lane or this field",
					"there is a lane %s", quote(other))
			case other < name && f.Lanes[other].Formerly == l.Formerly:
				return nil, b.doc.errorf(at.with("formerly"), "remove one of the two",
					"lane %s takes over the same lane", quote(other))
			}
		}
		if !isLaneName(l.Formerly) {
			return nil, b.doc.errorf(at.with("formerly"), "use 1 to 64 bytes without slash",
				"not a name of a lane")
		}
	}
	settings, err := json.Marshal(l)
	if err != nil {
		return nil, err
	}
	// A key in a file counts too: the relay reads the account of a sink once, and another key is
	// another account.
	sum := sha256.Sum256(fmt.Appendf(settings, "%q %v", b.secrets.values[before:], o.Fallback))
	t.Digest = hex.EncodeToString(sum[:])
	return t, nil
}

// isLaneName reports whether a lane may have this name.
func isLaneName(s string) bool { return s != "" && len(s) <= 64 && !strings.Contains(s, "/") }

// fields checks the type of a lane, and that it has only fields of its type.
func (b *build) fields(at path, l Lane) error {
	if l.Type == "" {
		return b.doc.errorf(at.with("type"), "write pagerduty, webhook or log", "is missing")
	}
	v := reflect.ValueOf(l)
	for _, field := range reflect.VisibleFields(v.Type()) {
		here := at.with(field.Tag.Get("yaml"))
		types, given := field.Tag.Get("types"), b.doc.has(here)
		own := types == "" || types == l.Type
		switch {
		case given && !own && slices.Contains([]string{"pagerduty", "webhook", "log"}, l.Type):
			return b.doc.errorf(here, "remove it", "a lane of type %s has no such field", l.Type)
		case !given && own && field.Tag.Get("required") != "":
			return b.doc.errorf(here, "add it: a secret is written as env:NAME or file:PATH", "is missing")
		}
	}
	return b.values(at, v)
}

// values checks enumerations and minima, which stand in the tags of the fields.
func (b *build) values(at path, v reflect.Value) error {
	for _, field := range reflect.VisibleFields(v.Type()) {
		here := at.with(field.Tag.Get("yaml"))
		value := v.FieldByIndex(field.Index)
		if !b.doc.has(here) {
			continue
		}
		if list := field.Tag.Get("enum"); list != "" &&
			!slices.Contains(strings.Split(list, ","), value.String()) {
			return b.doc.errorf(here, "write one of "+strings.ReplaceAll(list, ",", ", "),
				"unknown value")
		}
		if least := field.Tag.Get("min"); least != "" {
			if n, _ := strconv.ParseInt(least, 10, 64); value.Int() < n {
				return b.doc.errorf(here, "write a number of at least "+least+", or remove the field",
					"%d is too small", value.Int())
			}
		}
	}
	return nil
}

// duration reads a time. Zero if it is not given.
func (b *build) duration(at path, d Duration) (time.Duration, error) {
	if !b.doc.has(at) {
		return 0, nil
	}
	value, err := time.ParseDuration(string(d))
	if err != nil || value <= 0 {
		return 0, b.doc.errorf(at, "write 90s, 15m or 72h", "%s is not a time", quote(string(d)))
	}
	return value, nil
}

func (b *build) pagerduty(at path, l Lane, t *Target) error {
	var source pagerduty.KeySource
	values, err := b.secrets.all(at.with("key"), l.Key)
	if err != nil {
		return err
	}
	if name, ok := strings.CutPrefix(string(l.Key), "file:"); ok {
		file, err := pagerduty.OpenKeyFile(b.secrets.file(name))
		if err != nil {
			problem, remedy := split(err, "copy the integration key of Events API v2")
			return b.doc.errorf(at.with("key"), remedy, "%s", problem)
		}
		t.Check, source = file.Check, file
	} else if source, err = pagerduty.ParseRoutingKey(values[0]); err != nil {
		problem, remedy := split(err, "copy the integration key of Events API v2")
		return b.doc.errorf(at.with("key"), remedy, "%s", problem)
	}
	region, err := pagerduty.ParseRegion(cmp.Or(l.Region, "us"))
	if err != nil {
		return b.doc.errorf(at.with("region"), "write us or eu", "unknown value")
	}
	client, err := b.loader.client(source, region, l.BaseURL)
	if err != nil {
		problem, remedy := split(err, "write https://host")
		return b.doc.errorf(at.with("base_url"), remedy, "%s", problem)
	}
	opts := &pagerdutysink.Options{
		MinLevel: levels[l.MinLevel], IgnoreMuted: l.IgnoreMuted, KeepOpen: l.KeepOpen,
		Sibling: l.Sibling, Changes: l.Changes, Logger: b.loader.log(),
	}
	for _, level := range sortedKeys(l.Severities) {
		here, word := at.with("severities", level), l.Severities[level]
		known, ok := levels[level]
		if !ok {
			return b.doc.errorf(here,
				"the levels are info, nodata, warning, error, critical, fatal and none",
				"there is no level %s", quote(level))
		}
		if !slices.Contains([]string{"critical", "error", "warning", "info", "ignored"}, word) {
			return b.doc.errorf(here, "write critical, error, warning, info or ignored", "unknown value")
		}
		if opts.Severities == nil {
			opts.Severities = make(map[guance.Level]pagerduty.Severity)
		}
		opts.Severities[known] = pagerduty.Severity(word)
	}
	t.Sink, t.Account = pagerdutysink.New(client, opts), client.Account()
	t.Address = site(cmp.Or(l.BaseURL, region.URL()))
	t.Try = func(ctx context.Context) (string, error) {
		result, err := client.Send(ctx, &pagerduty.Event{
			Action: pagerduty.ActionResolve, DedupKey: "guance-relay-check-" + rand.Text(),
		})
		if err != nil {
			return "", err
		}
		return fmt.Sprintf("%d %s", result.StatusCode, result.Message), nil
	}
	return nil
}

// site returns scheme and host of a URL: the rest may be secret.
func site(address string) string {
	u, err := url.Parse(address)
	if err != nil {
		return ""
	}
	return u.Scheme + "://" + u.Host
}

func (b *build) webhook(at path, l Lane, t *Target) error {
	address, err := b.secrets.one(at.with("url"), l.URL)
	if err != nil {
		return err
	}
	opts := &webhooksink.Options{ContentType: l.ContentType, NewestOnly: l.NewestOnly}
	chat := !slices.Contains([]string{"", "event", "template"}, l.Format)
	for _, field := range []string{"content_type", "secrets", "template"} {
		if chat && b.doc.has(at.with(field)) {
			return b.doc.errorf(at.with(field), "remove it", "the format %s has no such field", l.Format)
		}
	}
	if l.Format != "template" && b.doc.has(at.with("template")) {
		return b.doc.errorf(at.with("template"), "write format: template, or remove it",
			"only the format template has a template")
	}
	if err := b.format(at, l, opts); err != nil {
		return err
	}
	t.Signed = l.SigningKey != "" || len(l.Secrets) > 0
	for i, ref := range l.Secrets {
		values, err := b.secrets.all(at.with("secrets", i), ref)
		if err != nil {
			return err
		}
		opts.Secrets = append(opts.Secrets, values...)
	}
	if err := b.headers(at.with("headers"), l.Headers, opts); err != nil {
		return err
	}
	networks, err := b.networks(at.with("allowed_networks"), l.AllowedNetworks)
	if err != nil {
		return err
	}
	opts.AllowedNetworks = networks
	sink, err := webhooksink.New(address, opts)
	if err != nil {
		return b.refused(at, err)
	}
	if transport := b.loader.Transport; transport != nil {
		opts.AllowedNetworks, opts.Client = nil, &http.Client{Transport: transport}
		if sink, err = webhooksink.New(address, opts); err != nil {
			return b.refused(at, err)
		}
	}
	t.Sink, t.Options, t.Address = sink, sink.LaneOptions(), site(address)
	t.Try = func(ctx context.Context) (string, error) {
		status, err := sink.Reach(ctx)
		return fmt.Sprintf("answers HEAD with %d; no message was posted", status), err
	}
	return nil
}

// format sets the body of a webhook.
func (b *build) format(at path, l Lane, opts *webhooksink.Options) error {
	key := ""
	if b.doc.has(at.with("signing_key")) {
		if l.Format != "feishu" && l.Format != "dingtalk" {
			return b.doc.errorf(at.with("signing_key"), "remove it", "only feishu and dingtalk have one")
		}
		var err error
		if key, err = b.secrets.one(at.with("signing_key"), l.SigningKey); err != nil {
			return err
		}
		if b.loader.Transport != nil {
			key = "" // the signature depends on the time
		}
	}
	switch l.Format {
	case "feishu":
		opts.Format = webhooksink.Feishu(key)
	case "dingtalk":
		opts.Format = webhooksink.DingTalk(key)
	case "wecom":
		opts.Format = webhooksink.WeCom()
	case "slack":
		opts.Format = webhooksink.Slack()
	case "teams":
		opts.Format = webhooksink.Teams()
	case "template":
		here := at.with("template")
		if strings.TrimSpace(l.Template) == "" {
			return b.doc.errorf(here, "add a template, or choose another format", "is missing")
		}
		var failed error
		opts.Template = secretCall.ReplaceAllStringFunc(l.Template, func(call string) string {
			match := secretCall.FindStringSubmatch(call)
			value, err := b.secrets.one(here, Secret(match[1]+match[2]))
			failed = cmp.Or(failed, err)
			return "print " + strconv.Quote(value)
		})
		return failed
	}
	return nil
}

// headers sets the headers of a webhook. Their names are no secrets, and their values may be.
func (b *build) headers(at path, headers map[string]string, opts *webhooksink.Options) error {
	opts.Headers = make(http.Header)
	for _, name := range sortedKeys(headers) {
		value := headers[name]
		switch {
		case isReference(value):
			var err error
			if value, err = b.secrets.one(at.with(name), Secret(value)); err != nil {
				return err
			}
		case secretHeader.MatchString(name):
			return b.doc.errorf(at.with(name), referRemedy, "the value of this header may be a secret")
		}
		opts.Headers.Add(name, value)
	}
	return nil
}

// options are the fields of the file for the options of webhooksink, and what to do if one is
// wrong.
var options = map[string]struct{ field, remedy string }{
	"URL": {"url", "correct what the reference stands for, or see allowed_networks"},
	"Template": {"template", "see text/template, and webhooksink.Payload for the fields; the functions " +
		"json and secret are there too"},
	"Headers":         {"headers", "remove or correct it"},
	"AllowedNetworks": {"allowed_networks", "write networks such as 10.20.0.0/16"},
	"ContentType":     {"content_type", "write a type such as text/plain"},
	"Secrets":         {"secrets", "write whsec_ and the base64 of 24 to 64 random bytes"},
}

// refused returns an error of webhooksink at the place of its field.
func (b *build) refused(at path, err error) error {
	wrong, ok := errors.AsType[*webhooksink.OptionError](err)
	if !ok {
		return b.doc.errorf(at, "correct the lane", "%s", err)
	}
	option, problem := options[wrong.Option], wrong.Problem
	if wrong.Line > 0 {
		problem = fmt.Sprintf("%s, in line %d of the template", problem, wrong.Line)
	}
	return b.doc.errorf(at.with(option.field), option.remedy, "%s", problem)
}

// A logSink writes each event as the line that the lane logs of it.
type logSink struct{}

var _ relay.EveryEvent = logSink{}

// Deliver implements relay.Sink.
func (logSink) Deliver(_ context.Context, d *relay.Delivery) error {
	d.LogAttrs(slog.String("title", d.Event.Title), slog.String("kind", string(d.Event.Kind())))
	return nil
}

// EveryEvent implements relay.EveryEvent.
func (logSink) EveryEvent() bool { return true }

// indent returns JSON on several lines, and other text as it is.
func indent(body []byte) string {
	var b bytes.Buffer
	if json.Indent(&b, body, "", "  ") != nil {
		return string(body)
	}
	return b.String()
}
