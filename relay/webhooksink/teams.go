package webhooksink

import (
	"encoding/json"
	"net/http"
	"strings"
	"time"
)

// Teams returns the format of a Microsoft Teams channel: a workflow that begins with "When a
// Teams webhook request is received" and posts a card (Microsoft Support, "Create incoming
// webhooks with Workflows for Microsoft Teams":
// https://support.microsoft.com/office/8ae491c7-0394-4861-ba59-055e33f75498). A message may have
// about 28 KB (https://learn.microsoft.com/connectors/teams/, "Known issues and limitations").
//
// A workflow answers 202 before it posts: an event that it fails to post counts as delivered. The
// older connectors answer 200 with the text 1, and are understood too.
func Teams() *Format {
	return &Format{
		name: "teams",
		// More than four requests in a second are throttled
		// (https://learn.microsoft.com/microsoftteams/platform/webhooks-and-connectors, rate
		// limits).
		perMinute: 60,
		body: func(m message, _ time.Time) any {
			card := teamsCard{
				Schema: "http://adaptivecards.io/schemas/adaptive-card.json",
				Type:   "AdaptiveCard", Version: "1.2",
				Body: []any{
					// A TextRun shows no Markdown, so that a title is no markup.
					teamsRuns{"RichTextBlock", []teamsRun{{"TextRun", m.title, "Bolder"}}},
					teamsText{"TextBlock", m.text, true},
				},
			}
			if m.link != "" {
				card.Actions = []teamsAction{{"Action.OpenUrl", "Guance", m.link}}
			}
			return teamsMessage{"message", []teamsAttachment{
				{"application/vnd.microsoft.card.adaptive", card},
			}}
		},
		read: readTeams,
	}
}

type teamsMessage struct {
	Type        string            `json:"type"`
	Attachments []teamsAttachment `json:"attachments"`
}

type teamsAttachment struct {
	ContentType string    `json:"contentType"`
	Content     teamsCard `json:"content"`
}

// A teamsCard is an Adaptive Card (https://adaptivecards.io/explorer/).
type teamsCard struct {
	Schema  string        `json:"$schema"`
	Type    string        `json:"type"`
	Version string        `json:"version"`
	Body    []any         `json:"body"`
	Actions []teamsAction `json:"actions,omitempty"`
}

type teamsRuns struct {
	Type    string     `json:"type"`
	Inlines []teamsRun `json:"inlines"`
}

type teamsRun struct {
	Type   string `json:"type"`
	Text   string `json:"text"`
	Weight string `json:"weight"`
}

type teamsText struct {
	Type string `json:"type"`
	Text string `json:"text"`
	Wrap bool   `json:"wrap"`
}

type teamsAction struct {
	Type  string `json:"type"`
	Title string `json:"title"`
	URL   string `json:"url"`
}

// teamsCodes are error codes of the workflow engine, which come with status 400, 401 or 404.
var teamsCodes = map[string]code{
	"TriggerInputSchemaMismatch": {dead, "the workflow's schema does not allow the message", ""},
	"WorkflowTriggerIsNotEnabled": {
		retry, "the workflow is switched off or deleted",
		"switch it on in the Workflows app, or make a new one and set its URL",
	},
	"WorkflowNotFound": {
		retry, "the workflow does not exist any more", "make a new one and set its URL",
	},
	"DirectApiAuthorizationRequired": {
		retry, "the signature in the URL is missing or the workflow does not admit everybody",
		`copy the whole URL, and let "anyone" trigger the workflow`,
	},
}

// readTeams reads an answer: 202 of a workflow, 200 and the text 1 of an older connector, or an
// error in JSON. A connector says with status 200 that it failed too.
func readTeams(res response) result {
	switch {
	case res.status == http.StatusAccepted,
		res.status == http.StatusOK && strings.TrimSpace(string(res.body)) == "1":
		return result{outcome: delivered}
	case res.status == http.StatusOK && strings.Contains(string(res.body), "HTTP error 429"):
		return result{outcome: throttled, reason: "sent too much"}
	}
	var said struct {
		Error struct {
			Code string `json:"code"`
		} `json:"error"`
	}
	if json.Unmarshal(res.body, &said) != nil {
		return unrecognized(res)
	}
	c, ok := teamsCodes[said.Error.Code]
	if !ok {
		return unrecognized(res)
	}
	return result{outcome: c.outcome, reason: said.Error.Code + ": " + c.reason, remedy: c.remedy}
}
