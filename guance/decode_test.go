package guance_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/guance-relay/guance-relay/guance"
)

// sample returns a payload of testdata.
func sample(t testing.TB, name string) []byte {
	t.Helper()
	body, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	return body
}

// one decodes a body that holds one event.
func one(t testing.TB, body, contentType string) *guance.Event {
	t.Helper()
	events, err := guance.Decode([]byte(body), contentType)
	if err != nil {
		t.Fatalf("Decode(%.200q) = %v", body, err)
	}
	if len(events) != 1 {
		t.Fatalf("Decode(%.200q) = %d events, want 1", body, len(events))
	}
	return events[0]
}

func TestDecodeRealSample(t *testing.T) {
	body := sample(t, "webhook-monitor-critical.json")
	got := one(t, string(body), "application/json")
	want := &guance.Event{
		Raw:               body,
		Extra:             map[string]json.RawMessage{"host": json.RawMessage(`"share"`)},
		Result:            "100",
		Timestamp:         time.Unix(1693034940, 0).UTC(),
		Date:              time.Unix(1693034940, 0).UTC(),
		AtAccounts:        json.RawMessage(`[]`),
		AtAccountsNodata:  json.RawMessage(`[]`),
		Channels:          []string{"chan_968577392a1c4714a464cd2f6ee42a9c"},
		CheckRangeEnd:     time.Unix(1693034880, 0).UTC(),
		CheckRangeStart:   time.Unix(1693034820, 0).UTC(),
		DateRange:         time.Minute,
		DimensionTags:     map[string]string{"host": "share"},
		DimensionTagsText: `{"host":"share"}`,
		EventID:           "event-f20a38aa58b54c6c8d4c9a84e655db1a",
		EventLink: "https://console.guance.com/keyevents/monitor?time=1693034040000%2C1693035000000" +
			"&tags=%7B%22df_event_id%22%3A%22event-f20a38aa58b54c6c8d4c9a84e655db1a%22%7D" +
			"&w=wksp_968577392a1c4714a464cd2f6ee42a9c",
		EventReason:    "满足监控器中故障的认定条件，产生故障事件",
		ExecMode:       "crontab",
		IssueDuration:  3840 * time.Second,
		IssueStartTime: time.Unix(1693031100, 0).UTC(),
		Language:       "zh",
		Message: ">等级：critical    \n>实例：share    \n>内容：磁盘使用率为 100.00%    \n>建议：登录华为云控制台查看 " +
			"RDS 是否有异常",
		Checker:             "custom_metric",
		EventRef:            "13713ac25e993a37d2ca5899e2a7bba6",
		CheckerID:           "rul_c439124e218f4c0c9cb114b5d04eeab4",
		CheckerName:         "实例名称为 {{host}} 磁盘使用率过高",
		CheckerRef:          "aad7deb63b2e58b301f823517fea944d",
		CheckerSub:          "check",
		CheckerValue:        "100",
		MonitorID:           "monitor_6774968876c14586bc5afc6d7144f52f",
		MonitorName:         "默认",
		MonitorType:         "custom",
		SiteName:            "中国区1（杭州）",
		Source:              "monitor",
		Status:              guance.StatusCritical,
		SubStatus:           guance.StatusCritical,
		Title:               "实例名称为 share 磁盘使用率过高",
		WorkspaceName:       "observer",
		WorkspaceUUID:       "wksp_968577392a1c4714a464cd2f6ee42a9c",
		LegacyWorkspaceName: "observer",
		LegacyWorkspaceUUID: "wksp_968577392a1c4714a464cd2f6ee42a9c",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("Decode(the sample) differs (-want +got):\n%s", diff)
	}
}
