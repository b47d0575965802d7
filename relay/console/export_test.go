package console

import (
	"net/http"
	"regexp"
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

// Untranslated returns the texts of the templates that are not in the Chinese page.
func Untranslated() (missing []string) {
	text, err := files.ReadFile("templates/page.html")
	if err != nil {
		return []string{err.Error()}
	}
	for _, m := range regexp.MustCompile(`\bT "([^"]*)"`).FindAllSubmatch(text, -1) {
		if _, ok := inChinese[string(m[1])]; !ok {
			missing = append(missing, string(m[1]))
		}
	}
	return missing
}
