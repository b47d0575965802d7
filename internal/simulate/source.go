package simulate

import (
	"strings"

	"github.com/guance-relay/guance-relay/relay"
)

// tokenOf returns the secret of a source.
func tokenOf(source string) string { return "token of " + source }

// handlerOptions returns the options for sources. The empty name is that of the source without one.
func handlerOptions(sources []string) *relay.HandlerOptions {
	o := &relay.HandlerOptions{}
	for _, name := range sources {
		if name == "" {
			o.Tokens = append(o.Tokens, tokenOf(name))
			continue
		}
		o.Sources = append(o.Sources, relay.Source{Name: name, Tokens: []string{tokenOf(name)}})
	}
	return o
}

// sourceOf returns the source of a problem key.
func (p *Plan) sourceOf(problem string) string {
	for _, name := range p.Sources {
		if name != "" && strings.HasPrefix(problem, relay.ProblemKey(name, "")) {
			return name
		}
	}
	return ""
}
