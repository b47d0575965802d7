package schedule

// queue returns the entries of a problem, in the order of sending.
func (ps *problems) queue(p *problem) []item {
	if !p.waits() {
		return nil
	}
	return append([]item{p.first}, ps.extra(p).queue...)
}

func (ps *problems) push(p *problem, it item) {
	if !p.waits() {
		p.first = it
		return
	}
	x := ps.ensureExtra(p)
	x.queue = append(x.queue, it)
}

// drop removes the first entry.
func (ps *problems) drop(p *problem) {
	p.first = item{}
	if x := ps.extra(p); len(x.queue) > 0 {
		p.first, x.queue = x.queue[0], x.queue[1:]
	}
}

// pop removes the last entry and returns it.
func (ps *problems) pop(p *problem) (it item) {
	x := ps.extra(p)
	last := len(x.queue) - 1
	if last < 0 {
		it, p.first = p.first, item{}
		return it
	}
	it, x.queue = x.queue[last], x.queue[:last]
	return it
}

// last returns the last entry, or nil.
func (ps *problems) last(p *problem) *item {
	if x := ps.extra(p); len(x.queue) > 0 {
		return &x.queue[len(x.queue)-1]
	}
	if p.waits() {
		return &p.first
	}
	return nil
}

// supersede removes the entries that were never sent and returns them.
func (ps *problems) supersede(p *problem) (gone []item) {
	queue := ps.queue(p)
	p.first = item{}
	if p.extra != 0 {
		ps.extra(p).queue = nil
	}
	for _, it := range queue {
		if it.begun {
			ps.push(p, it)
		} else {
			gone = append(gone, it)
		}
	}
	return gone
}
