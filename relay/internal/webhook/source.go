package webhook

import (
	"fmt"
	"net/http"
	"net/netip"
)

// A Source is a sender of webhooks: relay.Source, which documents the fields.
type Source struct {
	Name        string // empty for the source of the handler's own secrets and networks
	Tokens      []string
	TokenSource func() []string
	Basic       []string
	Allow       []netip.Prefix
}

// source is a Source after its checks.
type source struct {
	name        string
	allow       []netip.Prefix // empty: everywhere
	credentials credentials
}

// newSources returns the sources of a configuration, the nameless one first if there is one.
func newSources(c Config) ([]source, error) {
	own := Source{"", c.Tokens, c.TokenSource, c.Basic, c.Allow}
	var list []source
	for i, s := range append([]Source{own}, c.Sources...) {
		credentials, err := newCredentials(s)
		if err != nil {
			return nil, inSource(s.Name, err)
		}
		allow, err := normalize("Allow", s.Allow)
		if err != nil {
			return nil, inSource(s.Name, err)
		}
		added := source{s.Name, allow, credentials}
		switch {
		case len(allow) > 0 || credentials.required():
		case i > 0:
			return nil, fmt.Errorf("%s has no secret and no network: anybody could send in its name",
				added.title())
		case !c.NoAuth && len(c.Sources) > 0: // nothing comes in without a name
			continue
		}
		for j := range list {
			if err := added.clash(&list[j]); err != nil {
				return nil, err
			}
		}
		list = append(list, added)
	}
	return list, nil
}

// SourceNames returns the names of the sources; that without a name is "".
func (r *Receiver) SourceNames() (names []string) {
	for i := range r.sources {
		names = append(names, r.sources[i].name)
	}
	return names
}

// inSource adds the name of a source to an error.
func inSource(name string, err error) error {
	if name == "" {
		return err
	}
	return fmt.Errorf("source %q: %w", name, err)
}

// title names the source in a message.
func (s *source) title() string {
	if s.name == "" {
		return "the source without a name"
	}
	return fmt.Sprintf("source %q", s.name)
}

// clash returns why a webhook could be from both sources.
func (s *source) clash(other *source) error {
	if s.credentials.overlap(&other.credentials) {
		return fmt.Errorf("%s and %s have a secret in common: give each its own",
			other.title(), s.title())
	}
	if s.credentials.required() || other.credentials.required() {
		return nil
	}
	for _, p := range s.allow {
		for _, q := range other.allow {
			if p.Overlaps(q) {
				return fmt.Errorf("%s and %s have no secret, and their networks %v and %v overlap",
					other.title(), s.title(), q, p)
			}
		}
	}
	return nil
}

// allowed reports whether webhooks of the source may come from an address. An unknown address is in
// no network.
func (s *source) allowed(sender netip.Addr) bool {
	return len(s.allow) == 0 || contains(s.allow, sender)
}

// find returns the source of a webhook: the one whose secret it carries, or one that needs none.
//
// A sender from a network that no source names is refused with 403, so that it does not learn
// whether its secret is valid. Nor does a sender from the network of another source: there, the
// secret counts as a wrong one.
func (r *Receiver) find(req *http.Request) (*source, *Refusal) {
	sender := r.Sender(req)
	secrets := secretsOf(req, r.header)
	holders := make([][]*source, len(secrets))
	for i := range r.sources {
		s := &r.sources[i]
		tokens := s.credentials.currentTokens()
		for j, secret := range secrets {
			if secret.basic && among(s.credentials.basic, secret.digest) ||
				!secret.basic && among(tokens, secret.digest) {
				holders[j] = append(holders[j], s)
			}
		}
	}
	var found *source
	var shared error
	for _, h := range holders {
		switch {
		case len(h) > 1:
			shared = fmt.Errorf("%s and %s have a token in common, and so it is valid for neither",
				h[0].title(), h[1].title())
		case len(h) == 0 || !h[0].allowed(sender):
		case found != nil && found != h[0]:
			return nil, refuse(http.StatusUnauthorized,
				"the secrets in the request belong to two sources: send one of them")
		default:
			found = h[0]
		}
	}
	if found != nil {
		return found, nil
	}
	refusal := refuse(http.StatusForbidden, "webhooks are not taken from this address")
	for i := range r.sources {
		switch s := &r.sources[i]; {
		case !s.allowed(sender):
		case s.credentials.required():
			refusal = refuse(http.StatusUnauthorized, "no valid secret: "+r.usage())
		default:
			return s, nil
		}
	}
	refusal.Cause = shared
	return nil, refusal
}
