package e2e

import (
	"testing"

	"github.com/guance-relay/guance-relay/guance"
)

// words are what a page says.
var words = map[string]map[string]string{
	"en": {
		"paused": "The lane is paused.", "by": "Paused by an operator",
		"held": "an operator paused the lane", "resumed": "The lane goes on.", "delivered": "delivered",
		"replayed": "Dead letters replayed: 1", "none": "There are no dead letters.",
	},
	"zh": {
		"paused": "通道已暂停。", "by": "已被操作员暂停", "held": "操作员暂停了通道",
		"resumed": "通道已恢复。", "delivered": "已送达", "replayed": "已重发死信： 1",
		"none": "没有死信。",
	},
}

// An operator pauses a lane, sees what waits, and resumes it, with the keyboard alone.
func TestPauseAndResume(t *testing.T) {
	b, s := newBrowser(t), startServer(t, 6000)
	for _, l := range looks {
		t.Run(l.String(), func(t *testing.T) {
			say := words[l.language]
			tab := b.open(t, s.console, "", l)
			tab.enter(`.lane a[href="lane?lane=oncall"]`)
			tab.until(`location.pathname.endsWith("/lane")`)
			tab.enter(`details:has(form[action^="api/pause"]) > summary`)
			tab.write(`form[action^="api/pause"] input[name=minutes]`, "5")
			tab.enter(`form[action^="api/pause"] button`)
			tab.says(say["paused"])
			tab.says(say["by"])
			tab.says("li@example.org")

			event := fault(guance.LevelCritical, "磁盘使用率过高", "host", l.String())
			s.post(event)
			tab.says(say["held"]) // the page follows by itself
			if _, sent := s.Incident(event.ProblemKey()); sent {
				t.Error("the lane is paused, and sends")
			}
			tab.enter(`form[action^="api/resume"] button`)
			tab.says(say["resumed"])
			if err := s.WaitOpen(t.Context(), event.ProblemKey()); err != nil {
				t.Fatal(err)
			}
			tab.until(`[...document.querySelectorAll("tbody tr")].some(row =>
				row.innerText.includes(%s) && row.querySelector(".mark.delivered"))`, say["delivered"])
		})
	}
}

// An operator replays a dead letter after its cause is gone, with the keyboard alone.
func TestReplay(t *testing.T) {
	b, s := newBrowser(t), startServer(t, 6000)
	for _, l := range looks {
		t.Run(l.String(), func(t *testing.T) {
			say := words[l.language]
			heal := s.refuse("refused in " + l.String())
			event := fault(guance.LevelError, "refused in "+l.String(), "host", "db1")
			s.post(event)
			s.dead(t, "oncall", 1)
			heal()
			tab := b.open(t, s.console, "dead?lane=oncall", l)
			tab.enter(`td form[action^="api/replay"] button`)
			tab.says(say["replayed"])
			if err := s.WaitOpen(t.Context(), event.ProblemKey()); err != nil {
				t.Fatal(err)
			}
			tab.visit("dead?lane=oncall")
			tab.says(say["none"])
			tab.visit("problem?key=" + event.ProblemKey())
			tab.until(`document.querySelector(".story li.delivered") !== null`)
		})
	}
}
