package main

import (
	"cmp"
	"runtime/debug"
)

// released is the version that a build without its repository is given: -ldflags "-X
// main.released=".
var released string

// version returns the version of the module, or the commit that the program was built from.
func version() string {
	info, ok := debug.ReadBuildInfo()
	if !ok || released != "" {
		return cmp.Or(released, "unknown")
	}
	version := info.Main.Version
	for _, s := range info.Settings {
		switch {
		case s.Key == "vcs.revision" && (version == "" || version == "(devel)"):
			version = s.Value
		case s.Key == "vcs.modified" && s.Value == "true" && len(version) == 40:
			version += "+dirty"
		}
	}
	return cmp.Or(version, "(devel)")
}
