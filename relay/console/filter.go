package console

import (
	"net/http"
	"strings"

	"github.com/guance-relay/guance-relay/guance"
	"github.com/guance-relay/guance-relay/relay"
)

// filterParameters are the parameters of a filter.
var filterParameters = []string{"level", "tag", "text"}

// filterOf reads a filter. given reports whether there is one: an empty parameter is none, as a
// form sends them all.
func filterOf(p params) (f relay.Filter, given bool, err error) {
	f.Tag, f.Text = strings.TrimSpace(p.Get("tag")), strings.TrimSpace(p.Get("text"))
	for _, name := range filterParameters {
		if len(p.Get(name)) > 200 {
			return f, false, errorf(http.StatusBadRequest, "parameter %q: is longer than 200 bytes", name)
		}
	}
	f.Levels, err = levelsOf(p.Get("level"))
	return f, f.Tag != "" || f.Text != "" || len(f.Levels) > 0, err
}

// levelsOf reads names of levels, separated by commas.
func levelsOf(names string) (levels []guance.Level, err error) {
next:
	for name := range strings.SplitSeq(names, ",") {
		if name == "" {
			continue
		}
		for level := guance.LevelNone; level <= guance.LevelFatal; level++ {
			if level.String() == name {
				levels = append(levels, level)
				continue next
			}
		}
		return nil, errorf(http.StatusBadRequest, "parameter \"level\": there is no level %q", name)
	}
	return levels, nil
}
