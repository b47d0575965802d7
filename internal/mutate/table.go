package main

// mutations are the bugs, by the promise that they break. Whoever finds a bug that nothing caught adds it.
var mutations = []mutation{
	// 1. Accepted means kept.
	{
		"1", "202 before Append returns", "an event that was answered is lost in a crash or on a full disk", "relay",
		`		if err := r.keep(ctx, start, batch); err != nil {`,
		`		go func() { _ = r.keep(context.WithoutCancel(ctx), start, batch) }()
		if err := error(nil); err != nil {`,
	},
	{
		"1", "the entries of a body are kept one by one", "one lane has an event and another has not, and 503 said that nothing was kept", "relay",
		`		if err := r.keep(ctx, start, batch); err != nil {`,
		`		var err error
		for _, e := range batch.Events {
			if err == nil {
				err = r.keep(ctx, start, &store.Batch{Events: []*store.Event{e}, Served: batch.Served})
			}
		}
		if err != nil {`,
	},
	{
		"1", "Accept gives up if a lane cannot take over its former name at once", "the first alert after a start is lost, as Guance promises no second try", "relay",
		`	var lanes *laneSet
	err := persist(ctx, start, func() (err error) {
		lanes, err = r.namedLanes(ctx)
		return err
	})
`,
		`	lanes, err := r.namedLanes(ctx)
`,
	},
	{
		"1", "200 for a refused body", "Guance takes an alert for delivered that nobody has", "relay",
		`respond(w, refusal.Code, response{`,
		`respond(w, http.StatusOK, response{`,
	},
	{
		"1", "a store that cannot take events counts as one that has failed", "Guance and the log say that events may be there which are not", "relay",
		`	case errors.Is(err, store.ErrFailed): // first: it leaves a doubt, whatever it wraps
`,
		`	case !errors.Is(err, store.ErrFull):
`,
	},
	{
		"1", "a client that hangs up takes its webhook with it", "an alert is lost whenever Guance is in a hurry", "relay",
		`context.WithTimeout(context.WithoutCancel(req.Context()), acceptTimeout)`,
		`context.WithTimeout(req.Context(), acceptTimeout)`,
	},
	{
		"1", "fsync left out", "a power cut takes accepted events back", "relay/boltstore",
		`NoFreelistSync: true,`,
		`NoFreelistSync: true, NoSync: true,`,
	},
	{
		"1", "a commit that failed is not final", "events are accepted onto a disk that has lost some", "relay/boltstore",
		`		s.failed = err
`,
		``,
	},
	{
		"1", "a primary that was replaced is used again", "a server that comes back after its standby was promoted takes alerts that are lost with it", "relay/pgstore",
		`if system != present || timeline >= newest {`,
		`if system != present || timeline >= newest || true {`,
	},
	{
		"1", "a call to an engine that was replaced is waited for", "when the machine of the primary is lost, webhooks are answered 503 although the standby was promoted", "relay/pgstore",
		`		s.endPresence()
		s.presence`,
		`		s.presence`,
	},
	{
		"1", "one silent host uses up the time for all", "when the machine of the primary is lost, webhooks are answered 503 although the standby was promoted", "relay/pgstore",
		`cfg.ConnectTimeout = min(cfg.ConnectTimeout, s.hostTimeout())`,
		``,
	},
	{
		"1", "a connection to a silent server keeps its place", "an owner loses its lanes whenever a firewall forgets a connection", "relay/pgstore",
		`			_ = c.PgConn().Conn().Close() // nothing of it is needed any more
`,
		``,
	},

	// 2. Nothing vanishes.
	{
		"2", "the status is not part of an event's identity", "a recovery with the id of its fault is a duplicate, and the incident stays open", "relay",
		`id := ev.EventID + "/" + string(ev.Status) + "/" + string(ev.SubStatus)`,
		`id := ev.EventID`,
	},
	{
		"2", "a number of another system is an id of its own", "an alert of a second Zabbix is a duplicate of one of the first, and nobody is paged", "relay",
		`id += "/" + ProblemKey("", ev.ProblemKey())`,
		`id += ""`,
	},
	{
		"2", "an event has one identity for all sources", "a decoy under its id makes an alert a duplicate, and nobody is paged", "relay",
		`return prefix + id`,
		`return id`,
	},
	{
		"2", "the fallback takes what another lane took", "every alert of a team also pages whoever is there for the rest", "relay",
		`for _, l := range lanes.all {
		if l != lanes.fallback && l.wants(ev, routed) || routed[l.name] {`,
		`for _, l := range lanes.all {
		if l.wants(ev, routed) || routed[l.name] {`,
	},
	// Which lanes get an event.
	{
		"2", "the routes see the source without a name for every event", "the alerts of a source reach the lanes of another one, or nobody", "relay",
		`r.offers(lanes, source.Name, ev)`,
		`r.offers(lanes, "", ev)`,
	},
	{
		"2", "an event comes to a lane before the lane has its former name", "a webhook in the moment of a start keeps a renamed lane from starting ever again", "relay",
		`		lanes, err = r.namedLanes(ctx)
`,
		`		lanes, err = r.lanes.Load(), nil
`,
	},
	{
		"3", "a dead letter is replayed before the backlog is read", "an event of a full lane is replayed before the older one that waits, which is sent after it", "relay",
		`|| l.unread > 0 && !l.damaged {`,
		`{`,
	},
	{
		"4", "an event that was overtaken and found its lane full is replayed", "an old recovery resolves an incident that is there", "relay",
		`(record.Last > seq || l.schedule.Late(e, record))`,
		`record.Last > seq`,
	},
	{
		"2", "an event that found its lane full makes late what waits there", "after a restart a critical problem is dropped, as its repeat is dead", "relay/boltstore",
		`			Seq: l.seq, Problem: n.Problem, State: n.State, Level: n.Level,
`,
		`			Seq: l.seq, Problem: n.Problem, State: n.State, Level: n.Level, Time: n.Time,
`,
	},
	{
		"2", "a lane without a sink counts as one that shows problems", "the recovery and the repeats of a removed lane's problem reach nobody", "relay",
		`	if l.sink != nil {
		s.served = append(s.served, l.name)
	}
`,
		`	s.served = append(s.served, l.name)
`,
	},
	{
		"4", "a lane that is removed still wants new problems", "a problem waits in a lane that sends nothing, and the fallback does not have it", "relay",
		`	case l.sink == nil:
		return false
`,
		``,
	},
	{
		"3", "problems of two sources meet", "a recovery of one team resolves the incident of another", "relay",
		`return prefix + key`,
		`return key`,
	},
	{
		"3", "a reference may spell out the key of another source", "a recovery without a source resolves the incident of any source", "relay",
		`|| prefix == "" && strings.HasPrefix(key, sourceMark)`,
		``,
	},
	{
		"3", "the sibling of a problem is of no source", "a recovery by hand resolves the incident of another source", "relay/pagerdutysink",
		`ev.DedupKey = relay.ProblemKey(d.Source, sibling)`,
		`ev.DedupKey = sibling`,
	},
	{
		"1", "a file that is not in its place is written on", "events are accepted into a file without a name and gone at the restart", "relay/boltstore",
		`if moved := s.inPlace(); moved != nil {`,
		`if moved := s.inPlace(); false && moved != nil {`,
	},
	{
		"2", "ages count the wall clock", "a start with the clock a month ahead erases dead letters and records", "relay/boltstore",
		`return s.clockAtOpen + time.Since(s.openedAt)`,
		`return time.Duration(time.Now().UnixNano())`,
	},
	{
		"2", "the store's time is not saved", "after a crash the store's time is less than that of its entries", "relay/boltstore",
		`if err := c.tx.Bucket(metaBucket).Put(clockKey, encodeClock(c.now)); err != nil {`,
		`if err := error(nil); err != nil {`,
	},
	{
		"1", "records are not bounded by number", "a storm of problems that come and go fills the disk, and webhooks get 503", "relay/boltstore",
		`return l.records - l.opts().MaxRecords`,
		`return 0`,
	},
	{
		"3", "the record of a problem that waits or is dead is forgotten", "a dead letter is replayed after its recovery", "relay/boltstore",
		`case l.holds(key):`,
		`case false:`,
	},
	{
		"4", "an external event has its sender's time", "a recovery from a clock that is a minute behind is dropped", "guance",
		`	if e.fromOtherSystem() {`,
		`	if false {`,
	},
	{
		"4", "the number of a priority is not read", "a P0 Issue of an older installation pages nobody", "guance",
		`if level, numbered := priority(s.value); numbered {`,
		`if level, numbered := priority(s.value); false && numbered {`,
	},
	{
		"–", "an event may have any number of members", "64 bodies of short keys take half a gigabyte", "guance",
		`return nil, &LimitError{LimitMembers, MaxMembers}`,
		`_ = n`,
	},
	{
		"–", "large bodies do not wait for each other", "senders of large bodies turn each other away, or the process grows", "relay/internal/webhook",
		`if int64(len(b.bytes))+size <= largeSize {`,
		`if size >= 0 {`,
	},
	{
		"2", "duplicates are not recognised", "a webhook that is sent again opens an incident that was resolved", "relay/boltstore",
		`return w != nil && w.has(ev.id)`,
		`return w != nil && false`,
	},
	{
		"2", "the window of known events is one too short", "the oldest event that should be known is taken again", "relay/boltstore",
		`if len(w.ring) < size {`,
		`if len(w.ring) < size-1 {`,
	},
	{
		"2", "expiry is silent", "an old event is forgotten: neither sent nor a dead letter", "relay",
		`	made, err := l.writeMarks(keep, marks)
	if err != nil {
		return err
	}
	for _, m := range made {`,
		`	made := marks
	for _, m := range made {`,
	},
	{
		"2", "a replayed dead letter is as old as its number", "what waits beside one that fails never grows too old, and pages late", "relay/internal/schedule",
		`cmp.Or(cmp.Compare(a.first.kept, b.first.kept), cmp.Compare(a.first.seq, b.first.seq)) < 0`,
		`cmp.Compare(a.first.seq, b.first.seq) < 0`,
	},
	{
		"2", "an entry's age is not looked at", "an alert of last week pages tonight", "relay/internal/schedule",
		`<= int64(s.policy.MaxAge) {`,
		`>= 0 {`,
	},
	{
		"2", "poison never dies", "an event that PagerDuty never takes is tried for ever, and nobody is told", "relay/internal/schedule",
		`if int(first.failed) >= s.policy.MaxAttempts || since >= countFor {`,
		`if false {`,
	},
	{
		"2", "an outage counts against what waits", "forty minutes of 502 kill every alert of those forty minutes", "relay/internal/schedule",
		`	if s.breaker.successes != p.successes {
		p.successes`,
		`	{
		p.successes`,
	},
	{
		"2", "any 2xx counts as delivered", "a login page takes the alert, and nobody is told", "pagerduty",
		`status/100 == 2 && (any2xx || resp.success()):`,
		`status/100 == 2:`,
	},
	{
		"2", "any 400 is PagerDuty's word about the event", "a proxy that says 400 for a second kills every alert that waits", "pagerduty",
		`case status == http.StatusBadRequest && resp.rejectsEvent():`,
		`case status == http.StatusBadRequest:`,
	},
	{
		"2", "a complaint about the key is one about the event", "a key that was mistyped for ten minutes kills the alerts of ten minutes", "pagerduty",
		`r.strict && r.listed && r.hint() == ""`,
		`r.strict && r.listed`,
	},
	{
		"2", "a dead letter loses its event", "a replay sends nothing", "relay/boltstore",
		`l.addDeadLetter(ended, slices.Clone(e.body))`,
		`l.addDeadLetter(ended, slices.Clone(e.body[:0]))`,
	},
	{
		"2", "optional behaviour is not looked for in a decorator", "a warning that the sink ignores takes the place of a critical, and nobody is paged", "relay",
		`	return decorator.Unwrap()`,
		`	_ = decorator
	return nil`,
	},
	{
		"2", "the suite takes a sink that ignores unasked", "a sink passes its test and loses pages to what it ignores", "relay/relaytest",
		`if classOf(err) != ignored {`,
		`if true {`,
	},
	{
		"2", "a dead letter cannot be replayed in the instant after it died", "the operator is told that the problem has moved on, and drops the alert", "relay",
		`		return false, nil
	}
	read, err`,
		`		return true, ErrStale
	}
	read, err`,
	},
	{
		"2", "a question that could not be answered is not asked again", "a replay never returns", "relay",
		`	for _, c := range calls {
		l.perform(c)
	}`,
		`	_ = calls`,
	},

	// 3. Never a stale state after a newer one.
	{
		"3", "a resolve overtakes its trigger that backs off", "the trigger comes after the resolve: an incident that nothing closes", "relay/internal/schedule",
		`	s.put(p, later)`,
		`	if q := s.problems.queue(p); len(q) > 1 {
		p.first, s.problems.ensureExtra(p).queue[0] = q[1], q[0]
	}
	s.put(p, later)`,
	},
	{
		"3", "two events of a problem are in flight together", "whichever is slower wins", "relay/internal/schedule",
		`defer func() { s.put(p, p.stage) }()`,
		`defer func() { s.put(p, due) }()`,
	},
	{
		"2", "what fails beside others is tried for as long as it has attempts", "an alert that is never taken is no dead letter for days", "relay/internal/schedule",
		`|| since >= countFor {`,
		`{`,
	},
	{
		"2", "an entry's age goes by the wall clock", "a machine that boots with a wrong date gives up what it has just accepted", "relay/internal/schedule",
		`kept: max(int64(e.Kept), 1)`,
		`kept: max(e.Accepted.UnixNano(), 1)`,
	},
	{
		"4", "a lost answer is forgotten", "what PagerDuty handles late opens an incident that nobody closes", "relay",
		`a.result.AnswerLost = lost.Load() || answerLost(err, ctx.Err() != nil)`,
		`_ = answerLost(err, lost.Load())`,
	},
	{
		"4", "what a crash left begun was answered", "what PagerDuty handles late opens an incident that nobody closes", "relay",
		`if e.Begun && e.State == guance.StateProblem && !l.opts.EveryEvent {`,
		`if false {`,
	},
	{
		"4", "a newer state ends the doubt", "the next recovery is undone by what PagerDuty handles late", "relay/internal/schedule",
		`		p.first.doubt = true
		cancelled`,
		`		cancelled`,
	},
	{
		"4", "a fault and its recovery cancel each other although an answer was lost before", "what PagerDuty handles late opens an incident that nobody closes", "relay/internal/schedule",
		` && !p.waits() && !p.open && !x.doubt {`,
		` && !p.waits() && !p.open {`,
	},
	{
		"4", "a recovery is sent once more as soon as anything is taken", "what PagerDuty handles within the minute opens the incident again", "relay/internal/schedule",
		`			if !s.problems.extra(p).repeat {`,
		`			{`,
	},
	{
		"9", "a target that is down is not said to hold everything up", "for minutes no figure says that nothing gets through", "relay/internal/schedule",
		`	if s.breaker.down() {
		return s.pending, s.Oldest()
	}
`,
		``,
	},
	{
		"9", "what is stuck is only said while nothing gets through", "an alert that never gets through is missed beside those that do", "relay",
		`	if n == 0 && f.unlogged == 0 {`,
		`	if f.unlogged == 0 {`,
	},
	{
		"3", "that an attempt begins is marked after it, not before", "after a crash a trigger that was sent counts as never sent, and its resolve is dropped", "relay",
		`		err = l.owned.Mark(keep, []store.Mark{begins})
`,
		`		defer func() {
			if err := l.owned.Mark(keep, []store.Mark{begins}); err != nil {
				l.post(readFailed{err})
			}
		}()
`,
	},
	{
		"3", "what is on its way to the store is not remembered yet", "a fault that was overtaken by its recovery opens an incident that nobody ends", "relay",
		`			if r, wanted := records[m.Problem]; wanted {`,
		`			if r, wanted := records[m.Problem]; wanted && false {`,
	},
	{
		"3", "an outcome is not durable before the next entry is sent", "after a crash the trigger is sent again, behind its resolve", "relay",
		`		made, err := l.writeMarks(context.WithoutCancel(ctx), []store.Mark{m})
		if len(made) > 0 {
			m = made[0]
		}
		l.post(entryEnded{a, m, err})`,
		`		l.post(entryEnded{a, m, nil})
		if _, err := l.writeMarks(context.WithoutCancel(ctx), []store.Mark{m}); err != nil {
			l.post(readFailed{err})
		}`,
	},
	{
		"3", "a dead letter is replayed although a newer event waits", "the old state goes out in front of the new one, or takes its place", "relay",
		`l.schedule.Holds(e.Problem) || record == (store.Record{})`,
		`record == (store.Record{})`,
	},
	{
		"3", "a dead letter is replayed although a newer state was sent", "a replay opens an incident that was resolved", "relay",
		`|| record.Seq > seq ||
		e.State != guance.StateNeither && (record.Last > seq || l.schedule.Late(e, record)) {`,
		`||
		false && e.State != guance.StateNeither {`,
	},
	{
		"3", "an entry older than what was sent is sent", "after a hand-over an old state follows a newer one", "relay/internal/schedule",
		`if it.seq < p.sent && !s.policy.EveryEvent {`,
		`if false {`,
	},
	{
		"3", "a late event is accepted as newer", "a fault that was overtaken by its recovery opens the incident again", "relay/internal/schedule",
		`at != 0 && late > 0 && late <= int64(lateWindow)`,
		`false && late <= int64(lateWindow)`,
	},
	{
		"3", "a fenced owner can still mark", "two processes deliver for one lane in any order", "relay/boltstore",
		`	_, err := op.lane.owned(context.Background())
	return err`,
		`	_, _ = op.lane.owned(context.Background())
	return nil`,
	},
	{
		"3", "a fault and its recovery cancel each other although the fault was sent", "the incident stays open", "relay/internal/schedule",
		`		if it.begun {
			ps.push(p, it)
		} else {
			gone = append(gone, it)
		}`,
		`		gone = append(gone, it)`,
	},
	{
		"3", "lanes are acquired at once after a promotion", "an owner that the promoted standby does not know of sends beside the next one", "relay/pgstore",
		`mine, engineOf(c)).Scan(`,
		`mine, "").Scan(`,
	},

	// 4. It converges.
	{
		"4", "a fault and its recovery cancel each other although something is open", "the incident of the fault before stays open", "relay/internal/schedule",
		` && !p.waits() && !p.open && !x.doubt {`,
		` && !p.waits() {`,
	},
	{
		"4", "what may have arrived does not count as open", "a trigger whose answer was lost is never resolved", "relay/store",
		`	case m.State == guance.StateProblem && m.Outcome == 0:
		r.Open = true
`,
		``,
	},
	{
		"4", "a recovery counts as closing before it was delivered", "after a crash the next recovery is dropped and the incident stays open", "relay/store",
		`case m.State == guance.StateRecovered && m.Outcome == Delivered:`,
		`case m.State == guance.StateRecovered:`,
	},
	{
		"4", "the marks of a pair are not one write", "a crash between the two leaves a fault that has no recovery any more", "relay",
		`		made, err := l.writeMarks(context.WithoutCancel(ctx), marks)
`,
		`		var made []store.Mark
		var err error
		for i := 0; i < len(marks) && err == nil; i++ {
			made = append(made, marks[len(marks)-1-i])
			_, err = l.writeMarks(context.WithoutCancel(ctx), made[i:])
		}
`,
	},
	{
		"4", "an acknowledgement takes the place of a state", "a fault is lost to the remark that follows it", "relay/internal/schedule",
		`!last.begun && guance.State(last.state) == guance.StateNeither {`,
		`!last.begun {`,
	},
	{
		"4", "any older event is late", "a clock that was set back silences its problems for hours", "relay/internal/schedule",
		`late > 0 && late <= int64(lateWindow)`,
		`late > 0`,
	},
	{
		"4", "a recovery that the lane did not want is not sent", "an incident stays open because its recovery does not match the lane", "relay/internal/schedule",
		`		case v.open || doubt || v.ending:
`,
		`		case doubt:
`,
	},
	{
		"4", "a change of level in flight does not count as shown", "the incident keeps the worse level of a change that was in flight when the problem left the lane", "relay/internal/schedule",
		`			return view{open: true, level: it.level}
`,
		`			continue
`,
	},
	{
		"4", "an event that the lane did not want leaves there what waits", "an alert that has left its lane pages that lane all the same", "relay/internal/schedule",
		`	for _, old := range s.problems.supersede(p) {
`,
		`	var replaced []item
	if !e.Sticky {
		replaced = s.problems.supersede(p)
	}
	for _, old := range replaced {
`,
	},
	{
		"4", "a change of level that the lane did not want is not sent", "the incident keeps the level that the problem had when it left the lane", "relay/internal/schedule",
		`		case v.level == int8(e.Level):
`,
		`		default:
`,
	},
	{
		"4", "a recovery behind one in flight is dropped", "that one dies, and the incident stays open", "relay/internal/schedule",
		`		case v.open || doubt || v.ending:
`,
		`		case v.open || doubt:
`,
	},
	{
		"4", "a problem that the lane did not want is sent although nothing of it is shown", "a lane is paged for a level that its Match leaves out", "relay/internal/schedule",
		`		case !v.open:
			return notOurs
`,
		``,
	},
	{
		"4", "an event that is superseded itself cancels that a recovery is sent a second time", "what PagerDuty handles within the minute opens the incident again", "relay/internal/schedule",
		`	if reason := s.refuse(p, e, unsent); reason != "" {
		return append(marks, it.superseded(e.Problem, reason)), nil
	}
	x := s.problems.extra(p)
`,
		`	x := s.problems.extra(p)
	if reason := s.refuse(p, e, unsent); reason != "" {
		if x.repeat {
			s.put(p, inFlight)
			cancelled = &Ticket{p, p.first}
		}
		return append(marks, it.superseded(e.Problem, reason)), cancelled
	}
`,
	},
	{
		"4", "a recovery in df_sub_status is overlooked", "the incident stays open where Guance writes it there", "guance",
		`case sub == StateRecovered:`,
		`case false:`,
	},
	{
		"4", "the level is part of the problem key", "a fault that gets worse is a second incident, and its recovery closes none", "guance",
		`e.tagsText() + "~" + e.CheckerID + "~" + phase`,
		`e.tagsText() + "~" + e.CheckerID + "~" + phase + string(e.Status)`,
	},
	{
		"4", "the reference in the event is not its problem key", "the recovery by hand, which has another body, closes nothing", "guance",
		`case e.EventRef != "":
		return e.EventRef`,
		`case false:
		return e.EventRef`,
	},
	{
		"4", "severities are mixed up", "a critical fault of the shop is a low-urgency page in the morning", "relay/pagerdutysink",
		`guance.LevelCritical: pagerduty.SeverityCritical,`,
		`guance.LevelCritical: pagerduty.SeverityWarning,`,
	},
	{
		"4", "a resolve has no dedup_key", "PagerDuty refuses it and the incident stays open", "relay/pagerdutysink",
		`	ev.Links = links(e)
`,
		`	ev.Links = links(e)
	if action == pagerduty.ActionResolve {
		ev.DedupKey = ""
	}
`,
	},
	{
		"4", "long keys are cut off and not hashed", "alerts whose keys begin alike share an incident", "pagerduty",
		`+ "~" + digest`,
		`+ "~" + digest[:0]`,
	},
	{
		"4", "a body changes between retries", "a request that is sent again is not the one whose answer was lost", "pagerduty",
		`c.retries.CheckRetry = c.checkRetry`,
		`c.retries.CheckRetry = func(ctx context.Context, resp *http.Response, err error) (bool, error) {
			body[len(body)-2] ^= 1
			return c.checkRetry(ctx, resp, err)
		}`,
	},
	{
		"4", "a muted recovery is ignored", "the incident of a fault from before the mute stays open", "relay/pagerdutysink",
		`case e.State() == guance.StateRecovered && s.opts.KeepOpen:`,
		`case e.State() == guance.StateRecovered && (s.opts.KeepOpen || s.opts.IgnoreMuted && e.IsSilent):`,
	},
	{
		"4", "an unknown level is below the minimum", "a problem of a level that is new in Guance pages nobody", "relay/pagerdutysink",
		`level != guance.LevelNone && level < s.opts.MinLevel`,
		`level < s.opts.MinLevel`,
	},
	{
		"4", "an answer that was lost before a success is not told", "PagerDuty handles the lost trigger after its resolve, and the incident stays open", "relay/pagerdutysink",
		` || result != nil && result.AnswerLost`,
		``,
	},

	// 5. The budget is kept.
	{
		"5", "a sink's further requests are not paid for", "retries go beyond what PagerDuty allows", "relay/pagerdutysink",
		`client := s.client.WithLimiter(d)`,
		`client := s.client`,
	},
	{
		"5", "a slow look-up is sent when its request is no longer counted", "look-ups that are slow and then fast send more than PagerDuty allows", "relay/pagerdutysink",
		`if time.Since(began) > maxUncounted {`,
		`if time.Since(began) > time.Hour {`,
	},
	{
		"3", "a request begins although the lease ends", "an owner that was paused sends what is older after the next owner", "relay",
		`return until.Sub(now) >= leaseMargin && until.Round(0).Sub(now.Round(0)) >= leaseMargin`,
		`return until.Sub(now) >= -time.Hour`,
	},
	{
		"3", "a request begins in the last instant of the lease", "an owner that is held up for a moment sends what is older after the next owner", "relay",
		`leaseMargin = time.Second`,
		`leaseMargin = 0`,
	},
	{
		"3", "nobody watches the lease", "while the store hangs, an owner sends beside the next owner", "relay",
		`			lose(errLeaseLost)
`,
		``,
	},
	{
		"7", "nobody asks for a lane that is not served", "during a rolling update a new lane sends nothing until the old nodes have stopped", "relay",
		`if before && !served {`,
		`if false && before && !served {`,
	},
	{
		"7", "a node without a sink counts as one that serves the lane", "a node of an earlier configuration keeps a lane that it cannot send", "relay",
		`served = served && ok && !withoutSink(o)`,
		`served = served && (ok || withoutSink(o))`,
	},
	{
		"7", "an owner hands its lanes over whenever it is asked", "two nodes with two configurations pass lanes to and fro and send little", "relay",
		`if a.hasSink() && time.Since(since) < handOverAfter {`,
		`if false {`,
	},
	{
		"2", "a lease goes on after a write without an answer", "an outcome that the engine has is made once more, from what the owner took for true", "relay/memstore",
		`		if o.lease.store.term > 0 {
			o.lease.end()
		}
`,
		``,
	},
	{
		"1", "a second Append is answered from what the standby may lack", "an alert that was answered is gone after a promotion", "relay/memstore",
		`	case "Append", "Rename",`,
		`	case "Rename",`,
	},
	{
		"1", "an outcome that is not known is told as nothing kept", "who reads the answer takes an alert for lost that is kept", "relay",
		`	case errors.Is(err, store.ErrUnavailable):
		r.Reason`,
		`	case false:
		r.Reason`,
	},
	{
		"2", "a request goes on to the next owner", "an operator's command is done twice", "relay/memstore",
		`if q.owner == l.lease && !q.taken {`,
		`if s.lane(q.lane).owner == l.lease {`,
	},
	{
		"3", "a further request does not look at the lease", "an owner that was paused between two requests sends what is older after the next owner", "relay",
		`		if !r.lane.leaseLasts() {`,
		`		if false {`,
	},
	{
		"8", "a stop goes on with its attempts when its lease is lost", "two nodes send to one target at a time", "relay",
		`			cut() // the next owner may send already`,
		`			_ = cut`,
	},
	{
		"5", "the budget goes on in the next tenure of a node", "a node that owned before has a full bucket beside what the other node sent", "relay",
		`	r.begin(run, next)
`,
		`	next.budget = a.budget
	r.begin(run, next)
`,
	},
	{
		"5", "the budget outlives a change of the lanes of several nodes", "a node that owned before has a full bucket beside what the other node sent", "relay",
		`if b.full == next.full && !shared {`,
		`if b.full == next.full {`,
	},
	{
		"5", "the budget goes back in time", "a lane that was held up has the budget count the time twice", "relay",
		`	if now.Before(b.latest) {`,
		`	if false {`,
	},
	{
		"5", "a request that begins late is not paid for again", "a process that was stopped sends in the next minute what it paid for in the last one", "relay",
		`now.Sub(r.paid) <= paidFor`,
		`now.Sub(r.paid) <= time.Hour`,
	},
	{
		"3", "a request begins after the lease is lost before its time", "after a roll-back of the engine a node sends beside the next owner", "relay",
		`	case <-l.lease.Lost():
		return false
`,
		`	case <-l.lease.Lost():
`,
	},
	{
		"3", "what a dead owner had begun is not in doubt", "a trigger that PagerDuty handles late opens an incident for good", "relay",
		`record.Doubt = true // an earlier owner may have sent it, and the answer is not known`,
		`_ = record`,
	},
	{
		"2", "an Append without an answer is repeated as a new one", "one alert pages twice after a cut to the engine", "relay",
		`batch.Nonce = rand.Text()`,
		`_ = rand.Text`,
	},
	{
		"7", "a lost lease ends Run", "a short cut to the engine takes a node out of service", "relay",
		`case r.cluster != nil && lostLease(err):`,
		`case false:`,
	},
	{
		"4", "a record is not read again after a sticky entry", "a recovery in the same batch is dropped, and the incident stays open", "relay",
		`!added && (e.Sticky || !l.schedule.Holds(e.Problem)) {`,
		`!added && !l.schedule.Holds(e.Problem) {`,
	},
	{
		"2", "an Issue cancels the page of its problem", "an Issue without tags takes the page away before it is sent", "relay",
		`e.Sticky = !follows(events[0])`,
		`_ = follows`,
	},
	{
		"2", "a dead letter that was replayed while the backlog was read is there twice", "the lane stops at an entry that has ended", "relay",
		`if l.revived[e.Seq] {`,
		`if false {`,
	},
	{
		"5", "lanes of one account have a budget each", "two lanes under one routing key send twice what PagerDuty allows", "relay",
		`c.account = n.Account()`,
		`_ = n.Account()`,
	},
	{
		"5", "the account of a decorated sink is not seen", "three lanes under one routing key send three times what PagerDuty allows", "relay",
		`if n, ok := SinkAs[AccountNamer](s); ok {`,
		`if n, ok := s.(AccountNamer); ok {`,
	},
	{
		"5", "Wait never waits", "a sink that asks for leave is given it without a budget", "relay",
		`ok, again := r.lane.account.budget.take(now)`,
		`ok, again := true, now`,
	},
	{
		"5", "the bucket is full after a restart", "each restart sends a burst on top of the last one", "relay",
		`	limiter.AllowN(now, limiter.Burst())
`,
		``,
	},
	{
		"5", "the burst is the whole allowance", "a minute sees twice what PagerDuty allows", "internal/ratewindow",
		`/Span.Seconds()), burst)`,
		`/Span.Seconds()), n)`,
	},
	{
		"5", "a 429 pauses nothing", "the lane hammers a target that asked to be left alone", "relay",
		`		b.until = until
`,
		``,
	},
	{
		"5", "what was in flight together is eight times 429", "one 429 stops the lane for minutes", "relay",
		`same := !b.since.IsZero() && !began.After(b.since)`,
		`same := false`,
	},
	{
		"5", "Retry-After is ignored", "the lane comes back before the target wants it", "relay",
		`		r.delay = e.RetryAfter()
		r.Throttled = r.Throttled || r.delay > 0`,
		`		r.Throttled = r.Throttled || e.RetryAfter() > 0`,
	},
	{
		"5", "the Retry-After of PagerDuty is not read", "the relay is told of no wait and comes back before PagerDuty wants it", "pagerduty",
		`o.delay = retryAfter(resp.Header, time.Now(), c.core.maxRetryAfter)`,
		`_ = retryAfter(resp.Header, time.Now(), c.core.maxRetryAfter)`,
	},
	{
		"5", "anybody's Retry-After is believed", "a login page pauses every alert", "pagerduty",
		`if resp.StatusCode == http.StatusTooManyRequests || resp.StatusCode >= 500 {`,
		`if resp.StatusCode > 0 {`,
	},
	{
		"5", "being throttled counts as an attempt", "two hours of 429 turn alerts into dead letters", "relay/internal/schedule",
		`return r.Outcome == 0 && !r.Throttled && !r.HandedBack`,
		`return r.Outcome == 0 && !r.HandedBack`,
	},
	{
		"5", "429 is taken for a server error", "a throttled client tries again at once", "pagerduty",
		`{429, 429, ClassThrottled, false, ""},`,
		`{429, 429, ClassTransient, false, ""},`,
	},

	// 6. The worst news travels first.
	{
		"6", "the order of levels is reversed", "info pages before fatal", "relay/internal/schedule",
		`r := class*levels + worst`,
		`r := class*levels + levels - 1 - worst`,
	},
	{
		"6", "recoveries go before new problems", "a fire waits behind a thousand all-clears", "relay/internal/schedule",
		`	classRecovery          // the end of a problem that the target may show
	classNews              // a problem that the target does not show yet
`,
		`	classNews
	classRecovery
`,
	},
	{
		"6", "what failed in an outage keeps its low rank", "a fatal waits behind every new warning after an outage", "relay/internal/schedule",
		`		case due: // it has the low rank of a problem that fails
			s.put(p, due)`,
		`		case due:`,
	},
	{
		"6", "what waits in front of worse news does not take its rank", "a fatal waits for as long as the warning before it", "relay/internal/schedule",
		`		if everyEvent {
			break
		}
		worst = max(`,
		`		break
		worst = max(`,
	},
	{
		"6", "nothing is sent for having waited long", "a warning starves as long as there are errors", "relay/internal/schedule",
		`	if s.sends%agedShare == 0 {
		p = s.due.oldest()
	}
`,
		``,
	},
	{
		"6", "sending begins before the backlog is read", "after a restart the oldest goes first and not the worst", "relay",
		`if l.unread > 0 && now.Before(l.ready) {`,
		`if false {`,
	},

	// 7. Trouble stays where it is.
	{
		"7", "one entry that cannot be read spoils the marks of all", "a bad sector stops the lane, at each start anew", "relay",
		`	if !ofOneEntry(err) {
		return nil, err`,
		`	if err != nil {
		return nil, err`,
	},
	{
		"7", "an entry that cannot be read is tried like any other", "a bad sector stops the lane once the attempts are used up", "relay",
		`if ofOneEntry(m.err) {`,
		`if false {`,
	},
	{
		"7", "a problem that backs off is due at once", "one failing event eats the budget of all", "relay/internal/schedule",
		`	s.put(p, later)`,
		`	s.put(p, due)`,
	},
	{
		"7", "a target that is down is never probed", "an outage of PagerDuty lasts until the restart", "relay/internal/schedule",
		`b.probe = now.Add(min(j.backoff(b.streak-tripAfter+1), maxProbe))`,
		`b.probe = now.Add(1000 * time.Hour)`,
	},
	{
		"7", "the breaker does not close", "after an outage the lane sends one at a time for ever", "relay/internal/schedule",
		`b.streak, b.last, b.probe = 0, problemID{}, time.Time{}`,
		`b.last, b.probe = problemID{}, time.Time{}`,
	},
	{
		"7", "the breaker does not open", "a target that is down is hammered by every problem", "relay/internal/schedule",
		`func (b *breaker) down() bool { return b.streak >= tripAfter }`,
		`func (b *breaker) down() bool { return false }`,
	},
	{
		"7", "the panic of a sink is not caught", "a bug in one sink takes the process and every lane down", "relay",
		`if p := recover(); p != nil {`,
		`if p := any(nil); p != nil {`,
	},
	{
		"7", "the panic of a hook is not caught", "a bug in one lane's Match cuts the webhook off, and no lane has the event", "relay",
		`	p := recover()
	if p == nil {
		return
	}
	safe()`,
		`	var p any
	if p == nil {
		return
	}
	safe()`,
	},
	{
		"7", "a panic of Match keeps the event from its lane", "a bug in Match silences its lane", "relay",
		`func() { wanted = true })`,
		`func() { wanted = false })`,
	},
	{
		"7", "the methods of an error may panic", "a sink that returns a nil pointer as its error takes the process down", "relay",
		`	resultOf(err) // its`,
		`	// its`,
	},
	{
		"7", "a wake-up is lost: the timer of the loop is not set again", "what backs off is not tried until another event comes", "relay",
		`timer.Reset(wait)`,
		`_ = wait`,
	},
	{
		"7", "Read is not woken by Append", "an alert waits for the next restart", "relay/boltstore",
		`			s.owner(l.name).wake()`,
		`			_ = s.owner(l.name)`,
	},
	{
		"7", "a refusal is tried again", "an event that PagerDuty refuses is sent for hours", "pagerduty",
		`c = classification{class: ClassPermanent}`,
		`c = classification{class: ClassTransient}`,
	},
	{
		"7", "a connection that is silent is used again", "an HTTP/2 connection that swallows everything stops every page", "pagerduty",
		`		out.closeConnection()
`,
		``,
	},
	{
		"7", "a proxy that cannot be read is passed over", "behind a firewall nothing gets out, and no error names the proxy", "pagerduty",
		`		if reason != "" {
`,
		`		if reason != "" {
			continue
		}
		if false {
`,
	},

	// 8. Stopping is safe.
	{
		"8", "shutdown does not drain", "each restart cuts requests off, and they are sent twice", "relay",
		`context.WithCancel(context.WithoutCancel(ctx))`,
		`context.WithCancel(ctx)`,
	},
	{
		"8", "shutdown does not cut off what hangs", "a stop takes longer than it may and ends in an error", "relay",
		`		case <-deadline.C:
			cut()`,
		`		case <-deadline.C:`,
	},
	{
		"8", "shutdown waits for ever", "a stop hangs on a sink that does not return", "relay",
		`abandon := time.NewTimer(l.drain), time.NewTimer(l.drain+time.Second)`,
		`abandon := time.NewTimer(l.drain), time.NewTimer(1000*time.Hour)`,
	},
	{
		"8", "an attempt that was cut off by a stop counts as a failure", "restarts kill events", "relay",
		`		a.result.HandedBack = true // cut at the end of the drain time
`,
		``,
	},

	// 9. It says so.
	{
		"9", "a budget that is too small is not told of", "an alert waits for ever, and nothing says why", "relay",
		`			l.failures.add(l.log, a, now)
		}
		return`,
		`		}
		return`,
	},
	{
		"9", "the counters of a lane begin with their first event", "an alert on dead letters misses the first one, as increase does not see it", "relay",
		`	r.telemetry.addLane(name)
`,
		``,
	},
	{
		"9", "an event that no lane takes counts as accepted", "no alert says that a new team's events go nowhere", "relay",
		`r.telemetry.arrived(source, e.Kind(), receipts[i].Fate, 1)`,
		`r.telemetry.arrived(source, e.Kind(), "", 1)`,
	},
	{
		"9", "steps of the wall clock are not counted", "nobody learns why the times in the log do not agree", "relay",
		`			steps.Add(ctx, 1)
`,
		``,
	},
	{
		"9", "what backs off has no age by level", "a critical event that fails again and again shows as young", "relay/internal/schedule",
		`		if p := s.byAge[level].first(); p != nil {`,
		`		if p := s.byAge[level].first(); p == nil && level < 0 {`,
	},
	{
		"9", "a delivery is not in the trace of its webhook", "nobody can follow an alert from the webhook to PagerDuty", "relay",
		`		e.Trace = parent
`,
		`		_ = parent
`,
	},
	{
		"9", "an event that no lane takes is not told of", "a new team's alerts go nowhere, and nobody can see it", "relay",
		`			r.unrouted.do(func(n uint64) {`,
		`			_ = (func(n uint64) {`,
	},
	{
		"9", "a relay without lanes is ready", "every alert is answered 202 and goes nowhere", "relay",
		`		err = errors.Join(err, errNoLanes)`,
		`		_ = errNoLanes`,
	},
	{
		"9", "a delivered event is not in the log", "nobody can tell what PagerDuty was sent, and what it said", "relay",
		`		l.logDelivered(ctx, a, age)`,
		`		_ = a`,
	},
	{
		"9", "a decorator that hides its sink is not named", "a sink loses pages to what it ignores, and the log says nothing", "relay",
		`			found(t)
			search`,
		`			search`,
	},
	{
		"9", "a sink that ignores unasked is not named", "a function around a sink loses pages to what that ignores, and the log says nothing", "relay",
		`		l.logIgnored(m.entry, m.mark.Reason)`,
		`		_ = m`,
	},
	{
		"9", "the text of a story is shown as it came", "a target's answer forges a line that says delivered", "relay",
		`	}, strings.Join(strings.Fields(text), " "))`,
		`	}, text)`,
	},

	// The door and its keys.
	{
		"–", "a token that begins like the right one is good", "whoever guesses a prefix can page people", "relay/internal/webhook",
		`func digestOf(secret string) digest { return sha256.Sum256([]byte(secret)) }`,
		`func digestOf(secret string) digest { return sha256.Sum256([]byte(secret[:min(len(secret), 3)])) }`,
	},
	{
		"–", "X-Forwarded-For is believed from anybody", "the list of allowed networks keeps nobody out", "relay/internal/webhook",
		`	if !contains(r.proxies, sender) {
		return sender
	}`,
		``,
	},
	{
		"–", "a secret is good from the network of another source", "whoever finds a secret of the bank can page from the shop", "relay/internal/webhook",
		`case len(h) == 0 || !h[0].allowed(sender):`,
		`case len(h) == 0:`,
	},
	{
		"–", "a token of two sources is good for the first", "one source reports in the name of another", "relay/internal/webhook",
		`		case len(h) > 1:`,
		`		case false:`,
	},
	{
		"–", "a source may speak for every workspace", "a team's own Guance pages another team", "relay",
		`if !source.speaksFor(ev) {`,
		`if false {`,
	},
	{
		"–", "the bound on a decompressed body is gone", "one gzip bomb ends the process", "relay/internal/webhook",
		`l.left < 0 {`,
		`false {`,
	},
	{
		"–", "a routing key stands in an error", "whoever reads the log can page people", "pagerduty",
		`return strings.ReplaceAll(s, key.Reveal(), hidden)`,
		`return strings.Clone(s)`,
	},
	{
		"–", "net/http does not know the body", "an event takes two packets and a quarter more time", "pagerduty",
		`_, c.stdTransport = c.transport.(*http.Transport)`,
		``,
	},
	{
		"–", "SIGPIPE is not ignored", "a restart of journald ends the server, and systemd takes that for a clean end", "cmd/guance-relay",
		`	signal.Ignore(syscall.SIGPIPE)
`,
		`	_ = syscall.SIGPIPE
`,
	},
	{
		"7", "a line of the log waits for room", "nobody reads stderr, and every alert waits in the logger", "cmd/guance-relay",
		`if w.closed || w.size+len(line)+lineCost > maxLog {`,
		`for !w.closed && w.size+len(line)+lineCost > maxLog {
		w.mu.Unlock()
		time.Sleep(time.Millisecond)
		w.mu.Lock()
	}
	if w.closed {`,
	},
	{
		"–", "SIGHUP is not asked for", "a reload of secrets ends the server", "cmd/guance-relay",
		`	signal.Notify(reload, syscall.SIGHUP)
`,
		``,
	},
	{
		"–", "a file without tokens revokes them all", "a token file that is half written loses the alerts of that moment", "cmd/guance-relay",
		`	if err != nil {
		return fmt.Errorf("tokens-file: %w", err)
	}
`,
		`	if err != nil {
		f.last.Store(&[]string{})
		return fmt.Errorf("tokens-file: %w", err)
	}
`,
	},
	{
		"–", "a comment in a file of secrets is a secret", "whoever guesses the comment can page people", "internal/secretfile",
		`case line == "" || strings.HasPrefix(line, "#"):`,
		`case line == "":`,
	},
	{
		"–", "a missing key starts the demonstration", "the relay is ready and pages a fake", "cmd/guance-relay",
		`	if err := c.missing(); err != nil {
		return configError{err}
	}
`,
		`	if err := c.missing(); err != nil {
		return demonstrate(ctx, c, stderr, stderr)
	}
`,
	},
	{
		"–", "a flag of the demonstration does nothing without -demo", "somebody starts a server, takes it for the demonstration, and pages people", "cmd/guance-relay",
		`		if c.set(name) && !c.demo {`,
		`		if c.set(name) && !c.demo && c.nodes < 0 {`,
	},
	{
		"9", "the overview names no lane in trouble", "somebody who was woken looks for the lane that holds alerts up", "relay/console",
		`		return l.Condition != trouble
`,
		`		return l.Condition != "troubled"
`,
	},
	{
		"9", "the page repeats what to do in the reason", "the one sentence that helps is lost in a wall of text", "relay/console",
		`		return strings.TrimSuffix(s.Reason, ". Hint: "+s.Remedy)`,
		`		return s.Reason`,
	},
	{
		"–", "at the limit the longest waiting connection of all is closed", "a thousand silent connections keep a slow sender out", "cmd/guance-relay",
		`owner.open > victim.client.open ||
			owner.open == victim.client.open && oldest.since < victim.since {`,
		`oldest.since < victim.since {`,
	},
	{
		"–", "networks that may not send have as many connections as others", "a network that may not send fills the server", "cmd/guance-relay",
		`owner = &client{unlisted: unlisted}`,
		`owner, unlisted = &client{}, false`,
	},
	{
		"3", "a backup comes back as pending", "after a restore, people are paged for what was over last week", "relay/boltstore",
		`	restored, err := s.giveUpAll(ctx)
`,
		`	restored, err := map[string]int(nil), error(nil)
`,
	},
	{
		"7", "a growing file is mapped anew while a backup is copied", "every webhook waits for the end of the copy", "relay/boltstore",
		`		opts.InitialMmapSize = mapSize
`,
		`		opts.InitialMmapSize = 0 * mapSize
`,
	},
	{
		"9", "a report that dies is a dead letter to be reported", "each report causes the next one", "cmd/guance-relay/internal/watch",
		`after = d.Seq; !strings.HasPrefix(d.Problem, ownProblems) {`,
		`after = d.Seq; ownProblems != "" {`,
	},
	{
		"9", "what an earlier process reported is forgotten", "an incident of the relay stays open although its trouble is over", "cmd/guance-relay/internal/watch",
		`			if key, own := strings.CutPrefix(o.Problem, ownProblems); own {`,
		`			if key, own := strings.CutPrefix(o.Problem, ownProblems); own && key == "" {`,
	},
	{
		"9", "a heartbeat is sent although trouble cannot be reported", "the pager is down, and the dead-man's switch is content", "cmd/guance-relay/internal/watch",
		`			case h.LaneStuck != nil && h.LaneStuck():`,
		`			case h.LaneStuck != nil && h.LaneStuck() && called.IsZero():`,
	},
	{
		"–", "an expired certificate takes the place of a good one", "Guance cannot connect after a renewal that failed", "cmd/guance-relay",
		`	if end := pair.Leaf.NotAfter; time.Now().After(end) {`,
		`	if end := pair.Leaf.NotAfter; end.IsZero() {`,
	},
	// The console.
	{
		"2", "a pause is in memory alone", "a restart during a repair pages everybody", "relay",
		`		if err := l.owned.SetPause(context.WithoutCancel(ctx), p); err != nil {`,
		`		if err := error(nil); err != nil {`,
	},
	{
		"2", "the next owner does not look for a pause", "a fail-over during a repair pages everybody", "relay",
		`	if err := l.readHold(ctx); err != nil {
		return err
	}
`,
		``,
	},
	{
		"7", "a pause that cannot be read stops its lane", "one bad sector keeps every alert of a lane back", "relay",
		`	if errors.Is(err, store.ErrDamaged) {
		l.log.Error("relay: the pause`,
		`	if errors.Is(err, store.ErrClosed) {
		l.log.Error("relay: the pause`,
	},
	{
		"2", "a pause is not written to the file", "a restart ends it", "relay/boltstore",
		`	return l.bucket.Put(pauseKey, encodePause(op.pause))`,
		`	return nil`,
	},
	{
		"9", "the forecast of a paused lane begins now", "the waiting room promises what will not come", "relay",
		`held.After(now) && held.After(c.From)`,
		`false`,
	},
	{
		"2", "what is in flight can be dropped", "an event that was sent is a dead letter too", "relay/internal/schedule",
		`	if i < 0 || i == 0 && (p.stage == inFlight || s.problems.extra(p).repeat) {`,
		`	if i < 0 {`,
	},
	{
		"2", "a drop of what matches takes what does not", "alerts are dropped that nobody has seen", "relay",
		`			if !f.Match(stored) {
				continue
			}
		}
		m.Seqs`,
		`			_ = stored
		}
		m.Seqs`,
	},
	{
		"2", "a drop of what matches takes what came after the count", "a new alert is dropped that nobody has seen", "relay/console",
		`	seqs = slices.DeleteFunc(matching, func(seq uint64) bool { return seq > through })`,
		`	seqs = slices.DeleteFunc(matching, func(uint64) bool { return through == 0 })`,
	},
	{
		"2", "a drop of what matches takes more than was counted", "alerts are dropped that nobody has seen", "relay/console",
		`	if uint64(len(seqs)) > count {`,
		`	if false {`,
	},
	{
		"–", "who may read may act", "whoever may look at the console may drop alerts", "relay/console",
		`		if c.opts.Authorize(req) < r.need {`,
		`		if c.opts.Authorize(req) < Read {`,
	},
	{
		"–", "the console takes requests of other origins", "a web page that an operator visits drops alerts", "relay/console",
		`	h = origins.Handler(h)
`,
		`	_ = origins.Handler(h)
`,
	},
	{
		"–", "the console takes any Host", "a web page reaches it through a name of its own", "relay/console",
		`		if !c.hostAllowed(req) {`,
		`		if false {`,
	},
	{
		"–", "the text of an alert is shown as it is", "it turns the direction of the page, or hides in it", "relay/console",
		`		if harmless(r) {
			return r
		}
		return unicode.ReplacementChar
	}, strings.Join`,
		`		if true {
			return r
		}
		return unicode.ReplacementChar
	}, strings.Join`,
	},
	{
		"–", "JSON is not escaped", "the text of an alert acts on a terminal", "relay/console",
		`		case r < utf8.RuneSelf || harmless(r):`,
		`		case r < utf8.RuneSelf || r != 0:`,
	},
}
