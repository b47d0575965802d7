package relay

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/guance-relay/guance-relay/guance"
)

// A Source is a sender of webhooks that has a name. Problems of two sources never meet: an event of
// one source does not resolve, supersede or outdate an event of another one, and is no duplicate of
// it, whatever keys and ids it carries. See [ProblemKey].
//
// A source needs secrets or networks. Its secrets are valid from its networks alone. If it has no
// secrets, every webhook from its networks is its own, unless it carries the secret of a source
// that may send from there too. Printing a Source shows its name alone.
type Source struct {
	// Name has 1 to 64 bytes of printable characters, without "/" and ":". It is part of the keys of
	// problems: if a source is renamed, nothing recovers the problems that are open.
	Name string
	// Tokens, TokenSource, Basic and Allow are as in [HandlerOptions]. No secret may belong to two
	// sources. A token of a TokenSource that does is valid for neither of them, and a webhook that is
	// refused because of it is an error in the log, at most once a minute.
	Tokens      []string        `json:"-"`
	TokenSource func() []string `json:"-"`
	Basic       []string        `json:"-"`
	Allow       []netip.Prefix
	// Workspaces are the ids of the workspaces (df_workspace_uuid) that the source may speak for. An
	// event of another workspace is answered 202 with the fate "refused", logged, counted in the
	// metric relay.events, and not kept. An event without the id of a workspace passes. Empty means
	// every workspace.
	Workspaces []string
}

// Format implements [fmt.Formatter] for every verb, so that a log holds no secret.
func (s Source) Format(f fmt.State, _ rune) {
	_, _ = fmt.Fprintf(f, "relay.Source{%q}", s.Name)
}

// check returns what is wrong with the name or the workspaces.
func (s *Source) check() error {
	if err := checkSourceName(s.Name); err != nil {
		return err
	}
	if slices.Contains(s.Workspaces, "") {
		return fmt.Errorf("relay: source %q: an id in Workspaces is empty; remove it", s.Name)
	}
	return nil
}

func checkSourceName(name string) error {
	printable := !strings.ContainsFunc(name, func(r rune) bool { return !unicode.IsPrint(r) })
	if name == "" || len(name) > 64 || strings.ContainsAny(name, "/:") || !printable ||
		!utf8.ValidString(name) {
		return fmt.Errorf("relay: invalid name of a source %q: it must have 1 to 64 bytes of "+
			"printable characters, without slash and colon", name)
	}
	return nil
}

// speaksFor reports whether the source may send an event, by its workspace.
func (s *Source) speaksFor(e *guance.Event) bool {
	id, _ := e.Workspace()
	return len(s.Workspaces) == 0 || id == "" || slices.Contains(s.Workspaces, id)
}
