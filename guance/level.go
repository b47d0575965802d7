package guance

import "strconv"

// A Level is how bad a problem is; a greater one is worse. Users of this package store the numbers,
// so they never change.
//
// Security levels are mapped: high to error, medium to warning, low to info. LevelNoData is below
// warning: it says that nothing is known. Where missing data is worse than that, a monitor in
// Guance can report it as a warning or worse.
type Level int

const (
	LevelNone     Level = 0 // a recovery, or no level is known
	LevelInfo     Level = 1
	LevelNoData   Level = 2
	LevelWarning  Level = 3
	LevelError    Level = 4
	LevelCritical Level = 5
	LevelFatal    Level = 6
)

var levelNames = [...]string{
	LevelNone:     "none",
	LevelInfo:     "info",
	LevelNoData:   "nodata",
	LevelWarning:  "warning",
	LevelError:    "error",
	LevelCritical: "critical",
	LevelFatal:    "fatal",
}

// String returns the level as Guance spells it, and "none" for LevelNone.
func (l Level) String() string {
	if l < 0 || int(l) >= len(levelNames) {
		return "Level(" + strconv.Itoa(int(l)) + ")"
	}
	return levelNames[l]
}

// Level returns how bad the problem is. It is LevelNone for a recovery, and for a problem whose
// status names no known level.
func (e *Event) Level() Level {
	switch {
	case e.State() == StateRecovered:
		return LevelNone
	case e.Status.Known():
		return e.Status.Level()
	case e.SubStatus.Known():
		return e.SubStatus.Level()
	case e.Incident != nil:
		return e.Incident.level()
	}
	return LevelNone
}
