// Package webhooksink delivers events to any HTTP target: a service of one's own, or a chat.
//
//	sink, err := webhooksink.New("https://alerts.example.com/hook", &webhooksink.Options{
//		Secrets: []string{os.Getenv("HOOK_SECRET")}, // whsec_…
//	})
//	r.Handle("hook", sink, sink.LaneOptions())
//
//	chat, err := webhooksink.New(os.Getenv("CHAT_WEBHOOK"), &webhooksink.Options{
//		Format: webhooksink.Feishu(os.Getenv("CHAT_KEY")), // or DingTalk, WeCom, Slack, Teams
//	})
//	r.Handle("chat", chat, chat.LaneOptions())
//
// # Request
//
// Each delivery is one POST. The body is the JSON of a [Payload], or what Options.Template makes
// of it, or the message of Options.Format. The lane sends every event, unless Options.NewestOnly
// lets a newer state of a problem supersede an older one that was not sent yet.
//
// Without a format, requests have the headers of Standard Webhooks 1.0.0
// (https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md):
// webhook-id, webhook-timestamp and, if there is a secret, webhook-signature. The id stays the same
// when the lane sends an event again, and after a restart, so a receiver can drop what it has seen.
// The timestamp is that of the attempt.
//
// # Answer
//
//	2xx            delivered
//	400, 413, 422  dead: the target will never take this event
//	429            the lane pauses, for as long as Retry-After says
//	503            tried again; the lane pauses if Retry-After says for how long
//	anything else  tried again, redirects too: they are not followed
//
// A format looks for the target's own words in the answer, and counts the answer of a proxy or a
// login page as a failure that is tried again. No more than 64 KiB of an answer are read.
//
// # Safety
//
// The sink connects to addresses of the public internet, and to those in Options.AllowedNetworks.
// It checks the address that the name has resolved to, as the socket connects. So a URL that
// somebody else chose cannot reach a database, a router, or the cloud's metadata service.
//
// No error, log attribute or String has a secret in it: the URL's path and query, the headers, the
// secrets, or words of the target's answer, which may quote the request. An error names the status
// and, where somebody can do something about it, what to do (method Remedy).
//
// # Limits
//
// A sink is safe for concurrent use. An attempt takes 20 s at most with the sink's own client, of
// which connecting and the TLS handshake take 5 s each at most. Responses may have 64 KiB of
// headers.
package webhooksink
