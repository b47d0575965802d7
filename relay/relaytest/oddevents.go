package relaytest

import (
	"fmt"
	"strings"

	"github.com/guance-relay/guance-relay/guance"
	"github.com/guance-relay/guance-relay/guance/guancetest"
)

// ordinaryEvents returns what Guance sends every day. A sink that ignores events ignores some of
// these.
func ordinaryEvents() map[string]string {
	problem := guancetest.NewProblem("ordinary", "host", "web002")
	events := map[string]string{"a recovery": string(problem.Recover().Raw)}
	for level := guance.LevelNoData; level <= guance.LevelFatal; level++ {
		events["a fault of level "+level.String()] = string(problem.Fault(level).Raw)
	}
	return events
}

// oddEvents returns bodies that Guance, or a forger, might send.
func oddEvents() map[string]string {
	critical := func(fields string) string { return `{"df_status":"critical",` + fields + `}` }
	long := strings.Repeat("磁盘使用率过高 🔥 ", 20_000)
	p := guancetest.NewProblem("odd", "host", "web001")
	return map[string]string{
		"no field at all":           `{}`,
		"a status and nothing else": `{"df_status":"critical"}`,
		"a recovery, nothing else":  `{"df_status":"ok"}`,
		"an unknown status":         `{"df_status":"purple","df_title":"t"}`,
		"an unknown kind":           `{"hello":["world",{"n":1}]}`,
		"nulls": critical(`"df_title":null,"df_message":null,"df_dimension_tags":null,` +
			`"date":null,"Result":null`),
		"wrong types": `{"df_status":["critical"],"df_title":{"a":1},"df_message":7,` +
			`"date":"yesterday","df_dimension_tags":[1]}`,
		"empty texts": critical(`"df_title":"","df_message":" ","df_event_link":""`),
		"texts of 500 kB": critical(`"df_title":"` + long +
			`","df_message":"` + long + `"`),
		"a key of 10,000 characters": critical(`"df_title":"t","df_monitor_checker_event_ref":"` +
			strings.Repeat("k", 10_000) + `"`),
		"Chinese, emoji, right-to-left": critical(`"df_title":"主机 web001 内存使用率 👩‍👩‍👧‍👦",` +
			`"df_message":"\u202eمرحبا\u202c 𠮷野家","df_dimension_tags":"{\"主机\":\"网站\"}"`),
		"control characters": critical(`"df_title":"a\u0000b\u0007\r\nc\u2028d\ufeff",` +
			`"df_message":"\u001b[31mred\ud800"`),
		"formats and markup": critical(`"df_title":"%s%d%!n{{.Name}} {{ host }} ${x}",` +
			`"df_message":"<script>alert(1)</script> </at> **[x](javascript:1)** \\\" '"`),
		"times that cannot be": critical(`"df_title":"t","timestamp":-1,` +
			`"date":99999999999999999999,"df_fault_duration":-5`),
		"a link that is none": critical(`"df_title":"t","df_event_link":"javascript:alert(1)",` +
			`"df_event_url":"http://[::1"`),
		"a deep result":          critical(`"Result":{"a":[{"b":[{"c":{"d":[1,2,[3]]}}]}]}`),
		"a number beyond floats": critical(`"df_title":"t","Result":1e400`),
		"a thousand tags": critical(`"df_title":"t","df_dimension_tags":{` +
			manyTags(1000) + `}`),
		"the form of old versions": "磁盘告警\n主机 web001 的磁盘使用率为 95%",
		"no data":                  string(p.NoData().Raw),
		"data back":                string(p.DataBack().Raw),
		"info":                     string(p.Info().Raw),
		"a recovery by hand":       string(p.RecoverByHand().Raw),
		"an incident in work":      string(p.Incident("working").Raw),
	}
}

func manyTags(n int) string {
	tags := make([]string, n)
	for i := range tags {
		tags[i] = fmt.Sprintf(`"tag%d":"值%d"`, i, i)
	}
	return strings.Join(tags, ",")
}
