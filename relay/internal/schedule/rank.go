package schedule

import "github.com/guance-relay/guance-relay/guance"

// A rank says how urgent a problem is. The highest goes first. The class decides, then the level,
// then the order of arrival.
type rank uint8

const (
	classRepeat     = iota // the same level again, an event without a state, a second recovery
	classEscalation        // another level of a problem that the target shows
	classRecovery          // the end of a problem that the target may show
	classNews              // a problem that the target does not show yet
	classes

	levels = int(guance.LevelFatal) + 1
	// stubborn: a problem that failed three times in a row ranks below all others. It goes when
	// nothing else can, or as the oldest. Otherwise two events that the target never takes could
	// use every probe of a target that is not down, and every new problem would wait.
	stubborn = 3
	// topRank is that of what an operator sends now.
	topRank = 2 * classes * levels
	ranks   = topRank + 1
)

// worst returns the highest level of a problem: that of its queue or, where every event is sent, of
// the first entry.
func (ps *problems) worst(p *problem, everyEvent bool) int {
	worst := level(&p.first)
	for i := range ps.extra(p).queue {
		if everyEvent {
			break
		}
		worst = max(worst, level(&ps.extra(p).queue[i]))
	}
	return worst
}

// level returns the level of an item, as an index.
func level(it *item) int { return min(max(int(it.level), 0), levels-1) }

// rankOf returns the rank of a problem: the highest of its queue, as the first entry has to go
// before the others. Where every event is sent, queues are long, and the first entry alone decides.
func (ps *problems) rankOf(p *problem, everyEvent bool) rank {
	x := ps.extra(p)
	if x.now != 0 && !x.repeat {
		return rank(topRank)
	}
	class, worst, shown := classRepeat, 0, guance.Level(p.shown)
	add := func(it *item) {
		level := guance.Level(it.level)
		worst = max(worst, min(int(level), levels-1))
		switch guance.State(it.state) {
		case guance.StateRecovered:
			class, shown = max(class, classRecovery), guance.LevelNone
		case guance.StateProblem:
			switch shown {
			case guance.LevelNone:
				class = classNews
			case level:
			default:
				class = max(class, classEscalation)
			}
		}
	}
	if x.repeat { // the target has it already
		shown = guance.LevelNone
	} else {
		add(&p.first)
	}
	for i := range x.queue {
		if everyEvent {
			break
		}
		add(&x.queue[i])
	}
	r := class*levels + worst
	if x.tries < stubborn {
		r += classes * levels
	}
	return rank(r)
}
