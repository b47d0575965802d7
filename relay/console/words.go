package console

import (
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/guance-relay/guance-relay/relay"
)

// A language is that of the page: "en" or "zh".
type language string

const (
	english language = "en"
	chinese language = "zh"
)

// languageCookie keeps the choice of the switch.
const languageCookie = "console_lang"

// languageOf returns the language of a request: that of the switch, or the browser's first one that
// the page has.
func languageOf(req *http.Request) language {
	chosen := req.FormValue("lang")
	if cookie, err := req.Cookie(languageCookie); chosen == "" && err == nil {
		chosen = cookie.Value
	}
	switch l := language(chosen); l {
	case english, chinese:
		return l
	}
	for part := range strings.SplitSeq(req.Header.Get("Accept-Language"), ",") {
		tag := strings.ToLower(strings.TrimSpace(part))
		switch {
		case strings.HasPrefix(tag, "zh"):
			return chinese
		case strings.HasPrefix(tag, "en"):
			return english
		}
	}
	return english
}

// say returns a text of the page in a language. What has no translation stays as it is.
func (l language) say(text string) string {
	if translated, ok := inChinese[text]; l == chinese && ok {
		return translated
	}
	return text
}

// stateWords say what a lane is doing.
var stateWords = map[relay.LaneState]string{
	relay.Idle:       "Everything was sent",
	relay.Sending:    "Sending",
	relay.Budgeted:   "Sending as fast as the budget allows",
	relay.Paused:     "The target asked for a pause",
	relay.BackingOff: "What is pending failed and is tried again",
	relay.Repeating:  "Recoveries wait to be sent a second time",
	relay.Probing:    "The target is down and is probed",
	relay.Reading:    "Reading the backlog after a start",
	relay.Standby:    "Another node sends",
	relay.Held:       "Paused by an operator",
	relay.NoSink:     "The lane has no sink and sends nothing",
	relay.Stopped:    "Not running in this process",
}

// whyWords say why an entry waits.
var whyWords = map[relay.WaitReason]string{
	relay.WaitBudget:      "waits for its turn in the budget",
	relay.WaitPause:       "the target asked for a pause",
	relay.WaitHeld:        "an operator paused the lane",
	relay.WaitBackoff:     "failed, and is tried again",
	relay.WaitOrder:       "an earlier event of the problem goes first",
	relay.WaitProbe:       "the target is down and is probed",
	relay.WaitQuarantined: "the store cannot read it",
	relay.WaitRepeat:      "delivered; sent a second time",
	relay.WaitInFlight:    "being sent",
	relay.WaitReading:     "the lane reads its backlog",
	relay.WaitNoSink:      "the lane has no sink",
}

// confirmWords ask before an action on all that matches.
var confirmWords = map[string]struct{ text, button string }{
	"drop-pending": {"They become dead letters and can be replayed.", "Drop them"},
	"replay":       {"They are sent again, as far as their problems have not moved on.", "Replay them"},
	"drop":         {"They are deleted for good.", "Delete them"},
}

// doneWords say what an action did.
var doneWords = map[string]string{
	"pause":        "The lane is paused.",
	"resume":       "The lane goes on.",
	"send-now":     "It goes next.",
	"drop-pending": "Dropped, and a dead letter now:",
	"replay":       "Dead letters replayed:",
	"drop":         "Dead letters dropped:",
	"test":         "A test page is on its way. See what ended last.",
}

// span returns how long something took or takes, as one or two units.
func (l language) span(d time.Duration) string {
	units := []struct {
		d      time.Duration
		en, zh string
	}{{24 * time.Hour, "d", "天"}, {time.Hour, "h", "小时"}, {time.Minute, "min", "分"},
		{time.Second, "s", "秒"}}
	d = d.Abs().Round(time.Second)
	for i, u := range units {
		if d < u.d && u.d > time.Second {
			continue
		}
		name, n := u.en, d/u.d
		if l == chinese {
			name = u.zh
		}
		text := fmt.Sprintf("%d %s", n, name)
		if rest := (d - n*u.d); i+1 < len(units) && rest >= units[i+1].d && n < 10 {
			next := units[i+1].en
			if l == chinese {
				next = units[i+1].zh
			}
			text += fmt.Sprintf(" %d %s", rest/units[i+1].d, next)
		}
		return text
	}
	return ""
}

// when returns how far a time is from now.
func (l language) when(t, now time.Time) string {
	d := t.Sub(now)
	switch {
	case d.Abs() < time.Second:
		return l.say("now")
	case d > 0 && l == chinese:
		return l.span(d) + "后"
	case d > 0:
		return "in " + l.span(d)
	case l == chinese:
		return l.span(d) + "前"
	}
	return l.span(d) + " ago"
}

var inChinese = map[string]string{
	"Relay console":                  "告警中继控制台",
	"Skip to the content":            "跳到正文",
	"Overview":                       "总览",
	"Is everything getting through?": "告警都送达了吗？",
	"Yes. Everything was sent.":      "是。全部已发送。",
	"Yes, but events are waiting. They are sent by themselves.": "是，但有事件在排队，会自动发送。",
	"No. Somebody should look at":                               "否。请查看",
	", ":                                                        "，",
	"; ":                                                        "；",
	": ":                                                        "：",
	". ":                                                        "。",
	".":                                                         "。",
	"Pages":                                                     "页面",
	"There is no lane: nothing is sent.":                        "没有通道：什么都不会发送。",
	"Lanes":                                                     "通道",
	"Lane":                                                      "通道",
	"Waiting":                                                   "等待中",
	"Oldest":                                                    "最久等待",
	"By level":                                                  "按级别",
	"Last hour":                                                 "最近一小时",
	"Attempts in each minute of the last hour. The line is the budget.": "最近一小时每分钟的发送次数，虚线为预算。",
	"Requests a minute":                   "每分钟请求数",
	"lowered by the target to":            "目标限流，降至",
	"of":                                  "／",
	"next change":                         "下次变化",
	"ends":                                "截至",
	"delivered":                           "已送达",
	"superseded":                          "已被取代",
	"ignored":                             "已忽略",
	"dead":                                "死信",
	"pending":                             "待发送",
	"Dead letters":                        "死信",
	"given up since the start":            "条（自启动以来放弃）",
	"stuck":                               "个卡住",
	"What to do":                          "怎么办",
	"Last failure":                        "最近一次失败",
	"Waiting room":                        "等候室",
	"In the order in which they will go.": "按将要发送的顺序排列。",
	"Nothing is waiting.":                 "没有等待的事件。",
	"Place":                               "次序",
	"Problem":                             "问题",
	"Event":                               "事件",
	"Level":                               "级别",
	"Accepted":                            "接收时间",
	"Why it waits":                        "等待原因",
	"Will be sent":                        "预计发送",
	"Actions":                             "操作",
	"Send now":                            "立即发送",
	"Drop":                                "丢弃",
	"Drop…":                               "丢弃…",
	"Pause":                               "暂停",
	"Pause…":                              "暂停…",
	"Resume":                              "恢复",
	"Send a test page":                    "发送测试告警",
	"Send a test page…":                   "发送测试告警…",
	"minutes":                             "分钟",
	"Yes, I am sure":                      "是，我确定",
	"Replay":                              "重发",
	"Replay all…":                         "全部重发…",
	"Replay all":                          "全部重发",
	"Drop all…":                           "全部丢弃…",
	"Drop all":                            "全部丢弃",
	"It becomes a dead letter and can be replayed.":     "它会成为死信，之后可以重发。",
	"They are deleted for good.":                        "将永久删除，无法恢复。",
	"It pages whoever is on call, and resolves itself.": "会呼叫值班人员，随后自动恢复。",
	"Events are accepted meanwhile, and wait.":          "期间事件照常接收并等待。",
	"Next page":                             "下一页",
	"First page":                            "第一页",
	"All levels":                            "全部级别",
	"Show":                                  "显示",
	"not known":                             "未知",
	"expires before its turn":               "轮到之前就会过期",
	"Ended last":                            "最近结束",
	"Nothing has ended yet.":                "还没有结束的事件。",
	"Outcome":                               "结果",
	"Reason":                                "原因",
	"The story of a problem":                "问题的经过",
	"There are no dead letters.":            "没有死信。",
	"Given up":                              "放弃时间",
	"Show the event":                        "显示事件",
	"The event":                             "事件内容",
	"Find a problem by its key (dedup_key)": "按键（dedup_key）查找问题",
	"Find":                                  "查找",
	"Times are predictions, for the case that nothing new arrives.": "时间是预测，假定没有新事件到达。",
	"Looked at":                  "已查看",
	"That did not work":          "操作未成功",
	"Back to the overview":       "返回总览",
	"You may look, and not act.": "您只能查看，不能操作。",
	"Signed in as":               "登录为",
	"Live":                       "实时",
	"Not live":                   "未连接",
	"now":                        "现在",
	"none":                       "无",
	"info":                       "提示",
	"warning":                    "警告",
	"error":                      "错误",
	"critical":                   "严重",
	"fatal":                      "致命",
	"nodata":                     "无数据",
	"no data":                    "无数据",
	"problem":                    "告警",
	"recovered":                  "恢复",
	"neither":                    "其他",
	"ok":                         "正常",
	"busy":                       "排队",
	"trouble":                    "异常",
	"Accepted by the relay":      "中继接收于",
	"may be sent":                "可能发送时间",
	"What to try next":           "下一步",

	"Everything was sent":                        "全部已发送",
	"Sending":                                    "发送中",
	"Sending as fast as the budget allows":       "按预算允许的速度发送",
	"The target asked for a pause":               "目标要求暂停",
	"What is pending failed and is tried again":  "待发送的事件失败，正在重试",
	"Recoveries wait to be sent a second time":   "恢复事件等待第二次发送",
	"The target is down and is probed":           "目标不可用，正在探测",
	"Reading the backlog after a start":          "启动后正在读取积压",
	"Another node sends":                         "由另一节点发送",
	"Paused by an operator":                      "已被操作员暂停",
	"The lane has no sink and sends nothing":     "通道没有目标，不发送",
	"Not running in this process":                "未在本进程运行",
	"waits for its turn in the budget":           "在预算内排队",
	"the target asked for a pause":               "目标要求暂停",
	"an operator paused the lane":                "操作员暂停了通道",
	"failed, and is tried again":                 "失败，将重试",
	"an earlier event of the problem goes first": "同一问题的较早事件先发送",
	"the target is down and is probed":           "目标不可用，正在探测",
	"the store cannot read it":                   "存储无法读取",
	"delivered; sent a second time":              "已送达；将再发送一次",
	"being sent":                                 "发送中",
	"the lane reads its backlog":                 "通道正在读取积压",
	"the lane has no sink":                       "通道没有目标",
	"The lane is paused.":                        "通道已暂停。",
	"The lane goes on.":                          "通道已恢复。",
	"It goes next.":                              "下一个就发送。",
	"Dropped, and a dead letter now:":            "已丢弃并成为死信：",
	"Paused by":                                  "已暂停，操作者：",
	"It ends":                                    "结束：",
	"reason":                                     "原因",
	"Open at the target":                         "目标上未恢复的问题",
	"Last change":                                "最近变化",
	"Doubt":                                      "存疑",
	"An answer was lost.":                        "有应答丢失。",
	"The target shows nothing of this lane.":     "目标上没有本通道的问题。",
	"Problems that were sent, and of which no recovery was delivered since.": "已发送、之后没有送达恢复的问题。",
	"Tag (key or key=value)":                 "标签（键 或 键=值）",
	"Text":                                   "文字",
	"Replay what matches…":                   "重发匹配的…",
	"Drop what matches…":                     "丢弃匹配的…",
	"match":                                  "条匹配",
	"Are you sure?":                          "确定吗？",
	"Back, and change nothing":               "返回，不做更改",
	"What comes from now on is not touched.": "此后到达的不受影响。",
	"They become dead letters and can be replayed.":                    "它们会成为死信，之后可以重发。",
	"They are sent again, as far as their problems have not moved on.": "将重新发送，问题已有更新状态的除外。",
	"Drop them":                       "丢弃",
	"Replay them":                     "重发",
	"Delete them":                     "删除",
	"Only what this node did itself.": "仅为本节点自己发送的。",
	"The lane is sent by":             "该通道由以下节点发送：",
	"Dead letters replayed:":          "已重发死信：",
	"Dead letters dropped:":           "已丢弃死信：",
	"A test page is on its way. See what ended last.": "测试告警已发出。请看最近结束的事件。",
}
