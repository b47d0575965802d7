package console

import (
	"regexp"
	"strings"
)

// A translation is a reason that the relay gives, in English and in Chinese. What stands in %s is a
// number, a time, a name, or what the target said, and stays as it is.
type translation struct {
	english *regexp.Regexp
	chinese string // $1 is the first %s
}

// reasons are those of package relay, of its schedule and of pagerdutysink.
var reasons = []translation{
	translate(`in flight`, "发送中"),
	translate(`waits for entry %s of the problem`, "等待本问题的条目 $1"),
	translate(`the lane has no sink`, "通道没有目标"),
	translate(`the lane was paused by %s`, "通道已被暂停，操作者 $1"),
	translate(`the target asked for a pause`, "目标要求暂停"),
	translate(`the target took it; it is sent a second time, as an earlier answer was lost`,
		"目标已接收；因较早的应答丢失，将再发送一次"),
	translate(`tried before, %s failures count against it; backing off`, "已尝试过，计入 $1 次失败；正在退避"),
	translate(`the target is down and gets one request at a time`, "目标不可用，每次只发一个请求探测"),
	translate(`waits for its turn within the budget`, "在预算内排队"),
	translate(`the lane reads its backlog after a start`, "通道启动后正在读取积压"),
	translate(`the store cannot read it; it is tried again`, "存储无法读取；会再次尝试"),
	translate(`the store cannot read it`, "存储无法读取"),
	translate(`no node that owns the lane has answered`, "拥有该通道的节点没有应答"),
	translate(`entry %s of the problem replaced it before it was sent`, "发送前已被本问题的条目 $1 取代"),
	translate(`the problem ended before it was sent`, "问题在发送前已结束"),
	translate(`the target does not show the problem`, "目标没有显示该问题"),
	translate(`the problem is no longer this lane's`, "问题已不属于本通道"),
	translate(`a repeat of what the target shows`, "与目标当前显示的内容重复"),
	translate(`it arrived after a newer event of the problem`, "它在本问题的更新事件之后才到达"),
	translate(`lane full`, "通道已满"),
	translate(`dropped by %s`, "由 $1 丢弃"),
	translate(`not delivered within %s`, "$1 内未送达"),
	translate(`failed %s times within %s while the target took other events, last: %s`,
		"$2 内失败 $1 次，期间目标接收了其他事件；最后一次：$3"),
	translate(`delivered, then sent a second time because an earlier answer was lost; the second answer: %s`,
		"已送达；因较早的应答丢失又发送了一次，第二次的应答：$1"),
	translate(`relay: no answer within the attempt timeout of %s`, "$1 内没有应答"),
	translate(`a person closes the incident: Options.KeepOpen ignores recoveries`,
		"事件由人工关闭：Options.KeepOpen 忽略恢复"),
	translate(`neither a problem nor a recovery: kind %s`, "既不是告警也不是恢复：类型 $1"),
	translate(`it is muted in Guance: Options.IgnoreMuted ignores it`,
		"已在观测云静默：Options.IgnoreMuted 忽略它"),
	translate(`Options.Severities ignores the level %s`, "Options.Severities 忽略级别 $1"),
	translate(`the level %s is below Options.MinLevel, %s`, "级别 $1 低于 Options.MinLevel（$2）"),
}

func translate(english, chinese string) translation {
	parts := strings.Split(english, "%s")
	for i := range parts {
		parts[i] = regexp.QuoteMeta(parts[i])
	}
	return translation{regexp.MustCompile("(?s)^" + strings.Join(parts, "(.*?)") + "$"), chinese}
}

// reason returns a reason in a language. What is not the relay's, such as the answer of a target,
// stays as it is.
func (l language) reason(text string) string {
	if l != chinese {
		return text
	}
	for _, s := range reasons {
		if m := s.english.FindStringSubmatchIndex(text); m != nil {
			return string(s.english.ExpandString(nil, s.chinese, text, m))
		}
	}
	return text
}
