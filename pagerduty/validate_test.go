package pagerduty

import (
	"testing"

	"pgregory.net/rapid"
)

// sendable says the same as the tags, about whatever repair leaves.
func TestSendableAgreesWithTheTags(t *testing.T) {
	text := rapid.OneOf(rapid.SampledFrom([]string{"", " ", "\u3000", "a"}), rapid.StringN(0, 40, -1),
		rapid.Map(rapid.IntRange(200, 1100), func(n int) string { return string(make([]rune, n)) }))
	actions := rapid.SampledFrom([]Action{ActionTrigger, ActionAcknowledge, ActionResolve, "", "Trigger", "delete"})
	rapid.Check(t, func(t *rapid.T) {
		ev := Event{
			Action: actions.Draw(t, "action"), DedupKey: text.Draw(t, "key"), Summary: text.Draw(t, "summary"),
			Source: text.Draw(t, "source"), Class: text.Draw(t, "class"),
		}
		if rapid.Bool().Draw(t, "repaired") {
			(&repairer{source: "s", severity: SeverityInfo}).event(&ev)
		} else if blank(ev.Summary) {
			ev.Summary = "" // as repair leaves it
		}
		if got, want := ev.sendable(), validate.Struct(ev) == nil; got != want {
			t.Fatalf("%+v: sendable %t, the tags say %t", ev, got, want)
		}
		if !ev.sendable() && len(refusal(ev).Errors) == 0 {
			t.Fatalf("%+v: refused without a reason", ev)
		}
		change := ChangeEvent{Summary: text.Draw(t, "change")}
		if got, want := change.sendable(), validate.Struct(change) == nil; got != want {
			t.Fatalf("%+v: sendable %t, the tags say %t", change, got, want)
		}
	})
}
