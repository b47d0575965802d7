package guance_test

import (
	"errors"
	"fmt"

	"github.com/guance-relay/guance-relay/guance"
)

func ExampleDecode() {
	const body = `{
		"timestamp": 1693034940,
		"df_event_id": "event-f20a38aa58b54c6c8d4c9a84e655db1a",
		"df_status": "critical",
		"df_title": "disk usage of web001 is 97.5%",
		"df_dimension_tags": "{\"host\":\"web001\"}",
		"Result": 97.5,
		"ticket": "42"
	}`
	events, err := guance.Decode([]byte(body), "application/json")
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, e := range events {
		value, _ := e.Result.Float64()
		fmt.Println(e.Time().Format("15:04:05"), e.Level(), e.DimensionTags["host"], value)
		fmt.Println("undocumented:", string(e.Extra["ticket"]))
	}
	// Output:
	// 07:29:00 critical web001 97.5
	// undocumented: "42"
}

func ExampleDecode_wrongTypes() {
	events, _ := guance.Decode([]byte(`{"df_status":"warning","df_title":5}`), "")
	fmt.Println(events[0].State(), events[0].Invalid)
	// Output: problem [df_title: got a number, want a string; kept in Extra]
}

func ExampleSyntaxError() {
	_, err := guance.Decode([]byte(`{"df_status":"criti`), "application/json")
	if syntax, ok := errors.AsType[*guance.SyntaxError](err); ok {
		fmt.Println("broke off after byte", syntax.Offset)
	}
	// Output: broke off after byte 19
}

func ExampleEvent_ProblemKey() {
	fault := &guance.Event{
		Status:        guance.StatusCritical,
		EventRef:      "13713ac25e993a37d2ca5899e2a7bba6",
		CheckerID:     "rul_c439124e218f4c0c9cb114b5d04eeab4",
		DimensionTags: map[string]string{"host": "share"},
	}
	// Without a reference, the key is computed from the fields it is made of.
	recovery := &guance.Event{
		Status:        guance.StatusOK,
		CheckerID:     "rul_c439124e218f4c0c9cb114b5d04eeab4",
		DimensionTags: map[string]string{"host": "share"},
	}
	fmt.Println(fault.ProblemKey())
	fmt.Println(recovery.ProblemKey())
	// Output:
	// 13713ac25e993a37d2ca5899e2a7bba6
	// 13713ac25e993a37d2ca5899e2a7bba6
}

func ExampleEvent_State() {
	for _, e := range []*guance.Event{
		{Status: guance.StatusNoData},
		{Status: guance.StatusOK, SubStatus: guance.StatusManualOK},
		{Status: guance.StatusInfo, FaultStatus: guance.StatusOK},
	} {
		fmt.Println(e.State(), e.Level())
	}
	// Output:
	// problem nodata
	// recovered none
	// neither info
}

// A person recovered the host by hand. The event does not say whether that ends a threshold fault
// or missing data, so a sink can resolve both.
func ExampleEvent_SiblingKey() {
	over := &guance.Event{
		Status:        guance.StatusOK,
		SubStatus:     guance.StatusManualOK,
		CheckerID:     "rul_c439124e218f4c0c9cb114b5d04eeab4",
		CheckerSub:    "check",
		DimensionTags: map[string]string{"host": "share"},
	}
	fmt.Println(over.ProblemKey())
	fmt.Println(over.SiblingKey())
	// Output:
	// 13713ac25e993a37d2ca5899e2a7bba6
	// 626c79a3ef7e61e29943d44001947903
}

func ExampleLimitError() {
	_, err := guance.Decode(make([]byte, guance.MaxBodySize+1), "")
	if limit, ok := errors.AsType[*guance.LimitError](err); ok {
		fmt.Println("at most", limit.Max, limit.Limit)
	}
	// Output: at most 16777216 bytes
}

// Kind is for display and matching; State and Level say what to do.
func ExampleEvent_Kind() {
	for _, body := range []string{
		`{"df_status":"critical","df_monitor_checker_sub":"check"}`,
		`{"df_status":"warning","df_monitor_checker_sub":"nodata"}`,
		`{"df_status":"ok"}`,
		`{"df_title":"test message"}`,
		`{"incident_uuid":"incident_1","status":"open"}`,
	} {
		events, err := guance.Decode([]byte(body), "")
		if err != nil {
			fmt.Println(err)
			return
		}
		fmt.Println(events[0].Kind(), events[0].State())
	}
	// Output:
	// fault problem
	// nodata problem
	// recovery recovered
	// test neither
	// incident problem
}

// MarshalJSON returns the event as it was received. A store can keep that and decode it later.
func ExampleEvent_MarshalJSON() {
	events, err := guance.Decode([]byte(`[{"df_status":"ok", "ticket":42}]`), "")
	if err != nil {
		fmt.Println(err)
		return
	}
	kept, err := events[0].MarshalJSON()
	fmt.Println(string(kept), err)
	// Output: {"df_status":"ok", "ticket":42} <nil>
}

// A Value keeps the digits that a float64 would lose.
func ExampleValue() {
	events, err := guance.Decode([]byte(`{"df_status":"error","Result":9007199254740993}`), "")
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(events[0].Result)
	fmt.Println(events[0].Result.Int64())
	fmt.Println(events[0].Result.Float64())
	// Output:
	// 9007199254740993
	// 9007199254740993 true
	// 9.007199254740992e+15 true
}
