package e2e

import (
	"fmt"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/guance-relay/guance-relay/guance"
	"github.com/guance-relay/guance-relay/guance/guancetest"
)

// rows are the entries of the waiting room, with the predicted time in milliseconds.
const rows = `[...document.querySelectorAll("tbody tr:has(form[action*=drop-pending])")].map(r => ({
	Place: +r.cells[0].innerText, Event: r.cells[1].innerText,
	At: Date.parse(r.cells[5].querySelector("time").dateTime)}))`

// A storm, watched on pages that are loaded once: the backlog grows, the waiting room is in the
// order of sending, a new critical problem goes before what waited already, and the story of a
// problem has the events that were superseded. The budget is so small that a slow machine sees the
// same.
func TestStorm(t *testing.T) {
	b, s := newBrowser(t), startServer(t, 6)
	overview := b.open(t, s.console, "", looks[0])
	room := b.open(t, s.console, "lane?lane=oncall", looks[2])
	storm := guancetest.Storm{Problems: 80, Events: 300, Start: time.Now()}
	said := make(map[string]int)
	often := ""
	for d := range storm.Deliveries() {
		s.post(d.Event)
		key := d.Event.ProblemKey()
		if said[key]++; said[key] > said[often] {
			often = key
		}
	}
	overview.until(`[...document.querySelectorAll(".lane.busy")].some(l =>
		+l.querySelector("dd").innerText >= 60 && l.querySelector(".level.warning"))`)

	type row struct {
		Place int
		Event string
		At    float64
	}
	for n := 1; ; n++ {
		s.post(fault(guance.LevelCritical, "支付失败率 payment failures", "region", fmt.Sprint("eu-", n)))
		var seen []row
		for start := time.Now(); time.Since(start) < 10*time.Second; time.Sleep(100 * time.Millisecond) {
			seen = eval[[]row](room, rows)
			if !slices.IsSortedFunc(seen, func(a, b row) int { return a.Place - b.Place }) ||
				!slices.IsSortedFunc(seen, func(a, b row) int { return int(a.At - b.At) }) {
				t.Fatalf("the waiting room is not in the order of sending: %v", seen)
			}
			i := slices.IndexFunc(seen, func(r row) bool { return strings.Contains(r.Event, "支付失败率") })
			if i >= 0 && i < len(seen)-10 { // and it came last
				room.until(`document.querySelector(".mark.delivered") !== null`)
				room.visit("problem?key=" + url.QueryEscape(often))
				room.until(`document.querySelectorAll(".story li.superseded").length >= 2`)
				return
			}
		}
		if n == 10 {
			t.Fatalf("no new critical problem goes before others: %v", seen)
		}
	}
}
