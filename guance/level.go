package guance

import "strconv"

// A Level is how bad a problem is; a greater one is worse. The numbers are
// written to disk by users of this package and never change.
//
// Security levels are folded in: high is error, medium is warning, low is info.
// No-data stands below warning because it says that nothing is known, and
// Guance itself lets a monitor report missing data as a warning or worse where
// that is wanted.
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

// Level returns how bad the problem is that the event speaks of. It is
// LevelNone for a recovery, whatever level the problem had, and for a problem
// whose status names no known level.
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
