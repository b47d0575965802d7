package schedule

// An extra is what few problems need: entries behind the first, failures, waits.
type extra struct {
	queue     []item // entries after the first
	notBefore int64  // backing off or quarantined until then; 0: not
	counting  int64  // when the first entry first failed in a way that counts; 0: it did not
	tries     uint16 // failures of the first entry in a row, for the backoff
	row       uint16 // the same, and not reset when the target is back
	at        int32  // place among those that back off by age, from 1; 0: not there
	atStuck   int32  // place among what is stuck, likewise
	now       uint64 // an operator sends this entry now; 0: none
	doubt     bool   // Record.Doubt
	repeat    bool   // the first entry is a delivered recovery that is sent a second time
}

// empty does not look at tries: row is never less.
func (x *extra) empty() bool {
	return len(x.queue) == 0 && x.notBefore == 0 && x.counting == 0 && x.row == 0 &&
		x.now == 0 && !x.doubt && !x.repeat
}

// reset clears what is about the first entry.
func (x *extra) reset() { x.counting, x.tries, x.row, x.repeat = 0, 0, 0, false }

var noExtra extra

// extra returns the extra of a problem, or an empty one, to read only.
func (ps *problems) extra(p *problem) *extra {
	if p.extra == 0 {
		return &noExtra
	}
	return ps.extras.at(p.extra)
}

// ensureExtra returns the extra of a problem to write to.
func (ps *problems) ensureExtra(p *problem) (x *extra) {
	if p.extra == 0 {
		p.extra, x = ps.extras.add()
		return x
	}
	return ps.extras.at(p.extra)
}

// releaseExtra removes an extra that is empty.
func (ps *problems) releaseExtra(p *problem) {
	if p.extra != 0 && ps.extras.at(p.extra).empty() {
		ps.extras.remove(p.extra)
		p.extra = 0
	}
}
