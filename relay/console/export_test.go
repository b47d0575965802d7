package console

import (
	"net/http"
	"strings"
)

// Routes returns the calls of the API, by method and path, with their permission and parameters.
func Routes(h http.Handler) map[string]string {
	c := h.(*handler).console
	all := make(map[string]string)
	for _, r := range c.routes {
		if strings.HasPrefix(r.path, "api/") {
			permission := map[Permission]string{Read: "read", Act: "act"}[r.need]
			all[r.method+" "+r.path] = permission + " " + strings.Join(r.parameters, " ")
		}
	}
	return all
}
