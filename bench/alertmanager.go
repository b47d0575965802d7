package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/guance-relay/guance-relay/guance"
)

// alertmanager is Prometheus's, as Debian has it, alone and not in a cluster. Each alert is a group
// of its own and is notified at once. A group is looked at again every group_interval, and only
// then is a recovery sent: the default of five minutes would measure a timer, and a second costs it
// a look at each group in each second.
var alertmanager = system{name: "alertmanager", bodies: alerts,
	start: func(b testing.TB, dir, target string) (*process, error) {
		program, err := exec.LookPath("prometheus-alertmanager")
		if errors.Is(err, exec.ErrNotFound) {
			return nil, fmt.Errorf("prometheus-alertmanager: %w", errAbsent)
		}
		if err != nil {
			return nil, err
		}
		address, err := freeAddress()
		if err != nil {
			return nil, err
		}
		config := filepath.Join(dir, "alertmanager.yml")
		if err := os.WriteFile(config, []byte(fmt.Sprintf(alertmanagerConfig, routingKey, target)),
			0o600); err != nil {
			return nil, err
		}
		return serveOn(b, exec.Command(program, "--config.file="+config, "--storage.path="+
			filepath.Join(dir, "data"),
			"--web.listen-address="+address, "--cluster.listen-address=", "--log.level=info"), dir,
			address)
	}}

const alertmanagerConfig = `
route:
  receiver: pagerduty
  group_by: ['...']
  group_wait: 0s
  group_interval: 1s
  repeat_interval: 24h
receivers:
- name: pagerduty
  pagerduty_configs:
  - routing_key: %s
    url: %s/v2/enqueue
    send_resolved: true
    description: '{{ .CommonAnnotations.summary }}'
    severity: '{{ .CommonLabels.severity }}'
    class: '{{ .CommonAnnotations.check }}'
    group: '{{ .CommonAnnotations.alert_policy }}'
    component: '{{ .CommonLabels.host }}'
    client: Guance {{ .CommonAnnotations.workspace }}
    client_url: '{{ .CommonAnnotations.link }}'
    links:
    - href: '{{ .CommonAnnotations.link }}'
      text: Open in Guance
`

// alerts are a fault and its recovery as Alertmanager's API v2 takes them: what names the problem
// are labels, what it says annotations.
func alerts() (fault, recovery []byte, path string) {
	began := time.Now().Add(-time.Hour)
	f, r, _ := webhooks()
	return alert(f, began, time.Time{}), alert(r, began, began.Add(time.Minute)), "/api/v2/alerts"
}

func alert(webhook []byte, began, ended time.Time) []byte {
	events, err := guance.Decode(webhook, "application/json")
	if err != nil {
		panic(err) // it comes from guancetest
	}
	e := events[0]
	a := map[string]any{
		"startsAt": began,
		"labels": map[string]string{"alertname": e.CheckerName, "severity": "critical",
			"problem": e.EventRef, "host": e.DimensionTags["host"]},
		"annotations": map[string]string{
			"summary": e.Title, "description": e.Message, "status": string(e.Status),
			"event_id": e.EventID, "monitor_id": e.CheckerID, "alert_policy": e.MonitorName,
			"value": e.CheckerValue, "reason": e.EventReason, "workspace": e.WorkspaceName,
			"site": e.SiteName, "fault_id": e.FaultID, "check": e.Checker, "link": e.EventLink,
		},
	}
	if !ended.IsZero() {
		a["endsAt"] = ended
	}
	body, err := json.Marshal([]any{a})
	if err != nil {
		panic(err) // there are strings alone
	}
	return body
}
