// Package console is the operator's page and API of a relay: what waits, why, and until when.
//
//	h, err := console.New(r, &console.Options{
//		Authorize: func(req *http.Request) console.Permission { return console.Act },
//	})
//	mux.Handle("/console/", http.StripPrefix("/console", h))
//
// The handler serves a page for people, which needs no script for reading, and the same as JSON
// below api/. The document api/openapi.json describes the API. Links are relative, so the handler
// may be mounted anywhere; the address of the page must end with a slash.
//
// # Safety
//
// The handler has no authentication. Options.Authorize gives the permissions: [Read] and [Act].
// Without it, whoever reaches the handler may read, and nobody may act.
//
// A request that would change something is refused if a page of another origin sent it. A request
// that came to a loopback address must have a loopback Host or one of Options.Hosts: otherwise any
// web page could reach it through a host name of its own (DNS rebinding).
//
// The page loads nothing from elsewhere, and its Content-Security-Policy allows no script but its
// own. The text of alerts is that of strangers: what is not printable, or changes the direction of
// text, is shown as U+FFFD, and is escaped in JSON. Nothing that the handler shows is a secret of
// the relay; bodies of dead letters are what the sender wrote.
//
// Each action is one line in the log: what, in which lane, who, and whether it succeeded.
package console
