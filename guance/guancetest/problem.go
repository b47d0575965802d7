package guancetest

import (
	"crypto/md5" //nolint:gosec // the vendor's own identity formula
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/url"
	"strconv"
	"time"

	"github.com/guance-relay/guance-relay/guance"
)

// A Problem makes the events of one monitor on one object. Each event is one Interval later than
// the one before. Make a Problem with NewProblem. Its fields may be changed between events.
type Problem struct {
	// Monitor is the monitor's name. The monitor's ids are made from it.
	Monitor string
	// Tags name the checked object. They are sent in the order of their names.
	Tags map[string]string
	// Workspace is the workspace's name. Its id is made from it.
	Workspace string
	// Now is the time of the next event.
	Now time.Time
	// Interval is the time between events.
	Interval time.Duration
	// Edit, if not nil, changes each event before it is encoded.
	Edit func(*guance.Event)

	made  int       // number of events so far, for their ids
	round string    // the fault's id; "" while there is no fault
	since time.Time // when the fault began
}

// Start is the default time of the first event: that of the event in the vendor's published body.
var Start = time.Unix(1693034940, 0).UTC()

// NewProblem returns a problem of the monitor on the object with the given tags: pairs of a name
// and a value. It panics for a name without a value.
func NewProblem(monitor string, tags ...string) *Problem {
	if len(tags)%2 != 0 {
		panic("guancetest: a tag name without a value")
	}
	p := &Problem{
		Monitor:   monitor,
		Tags:      make(map[string]string, len(tags)/2),
		Workspace: "observer",
		Now:       Start,
		Interval:  time.Minute,
	}
	for i := 0; i < len(tags); i += 2 {
		p.Tags[tags[i]] = tags[i+1]
	}
	return p
}

// Fault returns an event with which the problem begins, repeats or changes its level. It panics for
// a level that no fault has.
func (p *Problem) Fault(level guance.Level) *guance.Event {
	status := guance.Status(level.String())
	if status.State() != guance.StateProblem {
		panic("guancetest: no fault has level " + level.String())
	}
	sub := "check"
	if level == guance.LevelNoData {
		sub = "nodata"
	}
	return p.event(status, status, sub)
}

// NoData returns an event about missing data.
func (p *Problem) NoData() *guance.Event { return p.Fault(guance.LevelNoData) }

// Recover returns the recovery of a fault: the values are normal again.
func (p *Problem) Recover() *guance.Event {
	return p.event(guance.StatusOK, guance.StatusOK, "check")
}

// DataBack returns the recovery of NoData: there is data again.
func (p *Problem) DataBack() *guance.Event {
	return p.event(guance.StatusOK, guance.StatusNoDataOK, "nodata")
}

// RecoverNoDataAsOK returns the recovery of a fault because missing data counts as recovered. It
// has the phase nodata, which no document confirms. So its key differs from that of the threshold
// fault that it ends: see [guance.Event.SiblingKey].
func (p *Problem) RecoverNoDataAsOK() *guance.Event {
	return p.event(guance.StatusOK, guance.StatusNoDataAsOK, "nodata")
}

// RecoverByHand returns a recovery by a person.
func (p *Problem) RecoverByHand() *guance.Event {
	return p.event(guance.StatusOK, guance.StatusManualOK, "check")
}

// Info returns an event of a check that met no rule. It is neither a fault nor a recovery, and does
// not end a fault.
func (p *Problem) Info() *guance.Event {
	return p.event(guance.StatusInfo, guance.StatusInfo, "check")
}

// Incident returns a body of the Incident Center about the problem's fault. The status is, for
// example, open, working, resolved or closed.
func (p *Problem) Incident(status string) *guance.Event {
	now := p.tick()
	return p.finish(&guance.Event{Incident: &guance.Incident{
		Kind:     guance.KindIncident,
		UUID:     "incident_" + p.id("incident", p.since.String()),
		Status:   status,
		Resource: p.Ref("check"),
		Severity: "system_level_0",
		Title:    p.Monitor,
		Time:     now,
	}})
}

// Ref returns the df_monitor_checker_event_ref of a phase, check or nodata: the MD5 of the tags'
// text, the monitor's id and the phase, joined by "~". The formula is repeated here, so that a
// mistake in package guance does not hide itself.
func (p *Problem) Ref(phase string) string {
	//nolint:gosec // see the import
	sum := md5.Sum([]byte(p.tags() + "~" + p.checkerID() + "~" + phase))
	return hex.EncodeToString(sum[:])
}

// event makes the next event.
func (p *Problem) event(status, sub guance.Status, phase string) *guance.Event {
	now := p.tick()
	id := "event-" + p.id("event", strconv.Itoa(p.made))
	workspace := "wksp_" + p.id("workspace", "")
	title := p.Monitor + " " + p.tags() + " " + string(sub)
	e := &guance.Event{
		Timestamp: now, Date: now,
		Status: status, SubStatus: sub,
		EventID: id,
		Title:   title,
		Message: ">等级：" + string(status) + "    \n>对象：" + p.tags() + "    \n>内容：" + p.Monitor,
		Source:  "monitor",
		EventLink: fmt.Sprintf("https://console.guance.com/keyevents/monitor?time=%d%%2C%d&tags=%s&w=%s",
			now.Add(-15*time.Minute).UnixMilli(), now.Add(time.Minute).UnixMilli(),
			url.QueryEscape(`{"df_event_id":"`+id+`"}`), workspace),
		SiteName: "中国区1（杭州）", Language: "zh",
		WorkspaceUUID: workspace, WorkspaceName: p.Workspace,
		LegacyWorkspaceUUID: workspace, LegacyWorkspaceName: p.Workspace,
		DateRange: time.Minute, CheckRangeStart: now.Add(-2 * time.Minute),
		CheckRangeEnd: now.Add(-time.Minute),
		DimensionTags: p.Tags,
		MonitorID:     "monitor_" + p.id("policy", ""), MonitorName: "默认",
		CheckerID: p.checkerID(), CheckerName: p.Monitor,
		CheckerRef: p.id("query", p.Monitor), EventRef: p.Ref(phase),
		MonitorType: "custom", Checker: "custom_metric", CheckerSub: phase,
		EventReason:      "满足监控器中故障的认定条件，产生故障事件",
		ExecMode:         "crontab",
		FaultStatus:      guance.StatusFault,
		AtAccounts:       json.RawMessage(`[]`),
		AtAccountsNodata: json.RawMessage(`[]`),
		Channels:         []string{"chan_" + p.id("channel", "")},
	}
	if phase == "check" { // missing data has no value
		e.Result, e.CheckerValue = "97.5", "97.5"
	}
	if sub == guance.StatusManualOK {
		e.UserID, e.UserName, e.UserEmail = "acnt_"+p.id("account", ""), "On Call", "oncall@example.com"
	}
	p.follow(e)
	return p.finish(e)
}

// follow fills in the fields about the fault. A fault begins or continues, and a recovery ends it.
func (p *Problem) follow(e *guance.Event) {
	switch e.Status.State() {
	case guance.StateNeither:
		e.FaultStatus = guance.StatusOK
		return
	case guance.StateRecovered:
		e.FaultStatus = guance.StatusOK
		e.EventReason = "满足监控器中恢复的认定条件，产生恢复事件"
	case guance.StateProblem:
		if p.round == "" {
			p.round, p.since = e.EventID, e.Timestamp
		}
	}
	if p.round == "" {
		return // there was no fault
	}
	e.FaultID = p.round
	e.FaultStartTime, e.IssueStartTime = p.since, p.since
	e.FaultDuration, e.IssueDuration = e.Timestamp.Sub(p.since), e.Timestamp.Sub(p.since)
	if e.Status.State() == guance.StateRecovered {
		p.round = ""
	}
}

// finish copies the tags to the top level, as Guance does, and encodes and decodes the event.
func (p *Problem) finish(e *guance.Event) *guance.Event {
	if e.Incident == nil {
		e.Extra = make(map[string]json.RawMessage, len(p.Tags))
		for name, value := range p.Tags {
			e.Extra[name] = mustMarshal(value)
		}
	}
	if p.Edit != nil {
		p.Edit(e)
	}
	return onWire(e)
}

// tick counts the event and returns its time.
func (p *Problem) tick() time.Time {
	now := p.Now
	p.made++
	p.Now = now.Add(p.Interval)
	return now
}

func (p *Problem) tags() string      { return string(mustMarshal(p.Tags)) }
func (p *Problem) checkerID() string { return "rul_" + p.id("checker", "") }

// id returns 32 hex digits for a thing of the problem, such as its workspace, monitor or event.
func (p *Problem) id(of, number string) string {
	key := of + "\x00" + p.Workspace
	switch of {
	case "checker", "query":
		key += "\x00" + p.Monitor
	case "event", "incident":
		key += "\x00" + p.Monitor + "\x00" + p.tags() + "\x00" + number
	}
	sum := md5.Sum([]byte(key)) //nolint:gosec // an id, not a secret
	return hex.EncodeToString(sum[:])
}

// onWire encodes an event built from fields and decodes it. It calls MarshalJSON itself, since
// json.Marshal escapes the "&" of links.
func onWire(e *guance.Event) *guance.Event {
	body, err := e.MarshalJSON()
	if err != nil {
		panic("guancetest: " + err.Error())
	}
	events, err := guance.Decode(body, "application/json")
	if err != nil || len(events) != 1 {
		panic(fmt.Sprintf("guancetest: an event came back from the wire as %d events: %v", len(events),
			err))
	}
	return events[0]
}

func mustMarshal(v any) []byte {
	text, err := json.Marshal(v)
	if err != nil {
		panic("guancetest: " + err.Error())
	}
	return text
}
