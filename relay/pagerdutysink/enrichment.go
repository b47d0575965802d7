package pagerdutysink

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"runtime/debug"
	"sync/atomic"
	"time"

	"golang.org/x/time/rate"

	"github.com/guance-relay/guance-relay/guance"
	"github.com/guance-relay/guance-relay/pagerduty"
	"github.com/guance-relay/guance-relay/relay"
)

const (
	enrichTimeout = 5 * time.Second
	// maxEnrich bounds the goroutines of an Enrich that ignores its context and never returns.
	maxEnrich = 64
	// A request is counted before Enrich is called. The budget has a second to spare for the time
	// between that and the request (internal/ratewindow). Enrich may use half of it.
	maxUncounted = 500 * time.Millisecond
)

// An enrichment calls Options.Enrich.
type enrichment struct {
	enrich   func(context.Context, *guance.Event, *pagerduty.Event) error
	required bool
	log      *slog.Logger
	running  chan struct{} // holds one element for each call that has not returned
	failed   atomic.Uint64 // failures since the last warning
	warnings rate.Sometimes
	panics   rate.Sometimes
}

func newEnrichment(opts *Options) *enrichment {
	n := &enrichment{
		enrich: opts.Enrich, required: opts.EnrichRequired, log: opts.Logger,
		running:  make(chan struct{}, maxEnrich),
		warnings: rate.Sometimes{Interval: time.Minute},
		panics:   rate.Sometimes{Interval: time.Minute},
	}
	if n.log == nil {
		n.log = slog.Default()
	}
	return n
}

// apply returns the alert to send: enriched, or plain with a detail that says what is missing. The
// two are equal and share nothing, because Enrich may still change its own after its time is over.
func (n *enrichment) apply(
	ctx context.Context, d *relay.Delivery, plain, enriched *pagerduty.Event,
) (*pagerduty.Event, error) {
	began := time.Now()
	err := n.call(ctx, d.Event, enriched)
	switch {
	case ctx.Err() != nil: // that of the whole attempt
		return nil, unsentError{ctx.Err()}
	case err != nil && n.required:
		return nil, unsentError{fmt.Errorf("pagerdutysink: Options.Enrich failed: %v", err)}
	}
	if time.Since(began) > maxUncounted {
		if err := d.Wait(ctx); err != nil { // gives up the request that is counted
			return nil, err
		}
	}
	if err == nil {
		enriched.Action, enriched.DedupKey = plain.Action, plain.DedupKey
		return enriched, nil
	}
	n.failed.Add(1)
	n.warnings.Do(func() {
		n.log.Warn("pagerdutysink: Options.Enrich failed; alerts are sent without what it adds",
			"error", fmt.Sprint(err), "lane", d.Lane, "seq", d.Seq, "problem", d.Problem,
			"failures", n.failed.Swap(0))
	})
	details := maps.Clone(plain.Details)
	if details == nil {
		details = make(map[string]any)
	}
	// The error itself stays in the log: everybody on call reads the details.
	details["enrichment"] = "missing, as the look-up failed; the log of the relay says why"
	plain.Details = details
	return plain, nil
}

// call calls Enrich. If Enrich does not return in time, call does.
func (n *enrichment) call(ctx context.Context, e *guance.Event, alert *pagerduty.Event) error {
	limit := enrichTimeout
	if end, ok := ctx.Deadline(); ok {
		limit = min(limit, time.Until(end)/2)
	}
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	select {
	case n.running <- struct{}{}:
	case <-ctx.Done():
		return fmt.Errorf("%d earlier calls have not returned", maxEnrich)
	}
	done := make(chan error, 1)
	go func() {
		err := errors.New("it ended its goroutine")
		defer func() {
			if p := recover(); p != nil {
				err = fmt.Errorf("it panicked: %v", p)
				n.panics.Do(func() {
					n.log.Error("pagerdutysink: Options.Enrich panicked", "panic", fmt.Sprint(p),
						"stack", string(debug.Stack()))
				})
			}
			<-n.running
			done <- err
		}()
		err = n.enrich(ctx, e, alert)
	}()
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
		return fmt.Errorf("it did not return within %v", limit.Round(time.Millisecond))
	}
}

// An unsentError is a failure before any request. So no answer was lost, even if it is a timeout.
type unsentError struct{ error }

func (e unsentError) Unwrap() error  { return e.error }
func (unsentError) AnswerLost() bool { return false }
