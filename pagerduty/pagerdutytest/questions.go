package pagerdutytest

// Incidents returns every incident, in the order in which they opened.
func (f *Fake) Incidents() []Incident {
	return f.pick(func(*Incident) bool { return true })
}

// Open returns the incidents that are not resolved, in the order in which
// they opened.
func (f *Fake) Open() []Incident {
	return f.pick(func(i *Incident) bool { return i.Status != Resolved })
}

// IncidentsOf returns every incident a dedup key ever opened, under whichever
// routing key, in the order in which they opened.
func (f *Fake) IncidentsOf(dedupKey string) []Incident {
	return f.pick(func(i *Incident) bool { return i.DedupKey == dedupKey })
}

// Incident returns the newest incident a dedup key opened, under whichever
// routing key, and whether there is one.
func (f *Fake) Incident(dedupKey string) (Incident, bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for n := len(f.incidents) - 1; n >= 0; n-- {
		if i := f.incidents[n]; i.DedupKey == dedupKey {
			return i.copy(), true
		}
	}
	return Incident{}, false
}

// Changes returns every change event taken, in order.
func (f *Fake) Changes() []ChangeEvent {
	f.mu.Lock()
	defer f.mu.Unlock()
	changes := make([]ChangeEvent, len(f.changes))
	for n, c := range f.changes {
		changes[n] = c.copy()
	}
	return changes
}

// Notifications returns how often somebody would have been called, for all
// incidents together.
func (f *Fake) Notifications() (n int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, i := range f.incidents {
		n += i.Notifications
	}
	return n
}

func (f *Fake) pick(want func(*Incident) bool) (picked []Incident) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, i := range f.incidents {
		if want(i) {
			picked = append(picked, i.copy())
		}
	}
	return picked
}
