package main

import (
	"slices"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
	"google.golang.org/protobuf/proto"
)

// A zeroed gatherer adds the histograms that have no value yet, at zero. OpenTelemetry has no way
// to make them before the first value, and rate() does not see a series that begins with it.
type zeroed struct{ prometheus.Gatherer }

// zeroHistograms are the histograms of the relay. Each has the labels of another family.
var zeroHistograms = []struct {
	name, help, like string
	buckets          []float64
}{
	{"relay_attempt_duration_seconds", "How long a sink took for one attempt, by lane.",
		"relay_stuck", attemptBuckets},
	{"relay_entry_age_seconds", "Time from acceptance to delivery, by lane and level.",
		"relay_backlog", []float64{.01, .1, 1, 5, 15, 60, 300, 900, 3600, 14400, 86400}},
	{"relay_store_commit_duration_seconds", "Time of one commit of the store, until it is durable.",
		"relay_clock_steps_total",
		[]float64{.0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10}},
	{"pagerduty_attempt_duration_seconds", "Time from the start of a request to the end of its answer.",
		"pagerduty_attempts_total", attemptBuckets},
}

var attemptBuckets = []float64{.005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30}

// Gather implements prometheus.Gatherer.
func (z zeroed) Gather() ([]*dto.MetricFamily, error) {
	families, err := z.Gatherer.Gather()
	byName := make(map[string]*dto.MetricFamily, len(families))
	for _, f := range families {
		byName[f.GetName()] = f
	}
	for _, h := range zeroHistograms {
		like, family := byName[h.like], byName[h.name]
		if like == nil {
			continue
		}
		if family == nil {
			family = &dto.MetricFamily{
				Name: &h.name, Help: &h.help, Type: dto.MetricType_HISTOGRAM.Enum(),
			}
			families = append(families, family)
		}
		for _, other := range like.Metric {
			if !slices.ContainsFunc(family.Metric, func(m *dto.Metric) bool {
				return sameLabels(m.Label, other.Label)
			}) {
				family.Metric = append(family.Metric, zeroHistogram(other.Label, h.buckets))
			}
		}
	}
	return families, err
}

// sameLabels compares labels, which are sorted by name.
func sameLabels(a, b []*dto.LabelPair) bool {
	return slices.EqualFunc(a, b, func(a, b *dto.LabelPair) bool {
		return a.GetName() == b.GetName() && a.GetValue() == b.GetValue()
	})
}

func zeroHistogram(labels []*dto.LabelPair, buckets []float64) *dto.Metric {
	h := &dto.Histogram{SampleCount: proto.Uint64(0), SampleSum: proto.Float64(0)}
	for i := range buckets {
		h.Bucket = append(h.Bucket,
			&dto.Bucket{CumulativeCount: proto.Uint64(0), UpperBound: &buckets[i]})
	}
	return &dto.Metric{Label: labels, Histogram: h}
}
