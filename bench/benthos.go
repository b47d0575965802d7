package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// benthos is a pipeline of the Go module that Redpanda Connect is built on: a webhook in, a
// mapping, a request out. The webhook is answered when PagerDuty has answered, which is the
// default; it keeps nothing.
var benthos = system{name: "benthos", bodies: webhooks,
	start: func(b testing.TB, dir, target string) (*process, error) {
		program, err := build("benthos", "off")
		if err != nil {
			return nil, err
		}
		address, err := freeAddress()
		if err != nil {
			return nil, err
		}
		config := filepath.Join(dir, "benthos.yaml")
		if err := os.WriteFile(config, fmt.Appendf(nil, benthosConfig, address, routingKey, target),
			0o600); err != nil {
			return nil, err
		}
		return serveOn(b, exec.Command(program, "-c", config), dir, address)
	}}

// The mapping is the relay's for an event of a monitor.
const benthosConfig = `
http:
  enabled: false
logger:
  level: INFO
input:
  http_server:
    address: %s
    path: /guance
    allowed_verbs: [ POST ]
    timeout: 20s
pipeline:
  processors:
  - mapping: |
      let recovered = ["ok", "nodata_ok", "nodata_as_ok", "manual_ok"].contains(this.df_status)
      root.routing_key = "%s"
      root.event_action = if $recovered { "resolve" } else { "trigger" }
      root.dedup_key = this.df_monitor_checker_event_ref
      root.payload.summary = this.df_title
      root.payload.source = this.df_dimension_tags.parse_json().host | this.df_monitor_checker_name
      root.payload.severity = match this.df_status {
        "fatal" => "critical",
        "critical" => "critical",
        "error" => "error",
        "warning" => "warning",
        "nodata" => "warning",
        _ => "info",
      }
      root.payload.timestamp = this.timestamp.ts_format("2006-01-02T15:04:05Z07:00", "UTC")
      root.payload.group = this.df_monitor_name
      root.payload.class = this.df_monitor_checker
      root.payload.custom_details = {
        "result": this.Result,
        "description": this.df_message,
        "date": this.date,
        "status": this.df_status,
        "sub_status": this.df_sub_status,
        "event_id": this.df_event_id,
        "monitor": this.df_monitor_checker_name,
        "monitor_id": this.df_monitor_checker_id,
        "alert_policy": this.df_monitor_name,
        "value": this.df_monitor_checker_value,
        "reason": this.df_event_reason,
        "workspace": this.df_workspace_name,
        "site": this.df_site_name,
        "fault_id": this.df_fault_id,
        "tags": this.df_dimension_tags.parse_json(),
      }
      root.client = "Guance " + this.df_workspace_name
      root.client_url = this.df_event_link
      root.links = [ { "href": this.df_event_link, "text": "Open in Guance" } ]
output:
  http_client:
    url: %s/v2/enqueue
    verb: POST
    headers:
      Content-Type: application/json
    timeout: 20s
    max_in_flight: 64
`
