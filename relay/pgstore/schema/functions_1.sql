-- Functions of version 1. A node of another version may call them at the same time: a change of
-- arguments or result is a new function with a new name, and this one stays.

-- store_clock returns the store's time. It grows with the clock of the machine, but by no more than
-- 1.5 seconds between two calls of beat, which are a second apart at most. So a step of that clock does
-- not end a lease of three seconds or more, and a machine that was down does not age anything.
create or replace function store_clock() returns bigint language plpgsql as $$
begin -- a function in SQL would be planned at each call
	return (select base + coalesce(
		least(greatest(extract(epoch from clock_timestamp() - at) * 1e9, 0), 1.5e9)::bigint, 0)
	from clock);
end $$;

-- lock_lanes locks lanes in the order that all callers use. Null means all lanes.
create or replace function lock_lanes(p_lanes integer[]) returns void language plpgsql as $$
begin
	if p_lanes is null then
		perform 1 from lanes order by id for update;
	else
		perform 1 from lanes where id = any(p_lanes) order by id for update;
	end if;
end $$;

-- make_lanes makes the lanes that do not exist yet.
create or replace function make_lanes(p_names text[]) returns void language plpgsql as $$
declare
	v_name text;
	v_lane integer;
begin
	-- In order, so that two callers do not wait for each other.
	for v_name in select distinct n from unnest(p_names) n order by 1 loop
		insert into names (name, lane) values (v_name, 0) on conflict do nothing;
		if found then
			insert into lanes (name) values (v_name) returning id into v_lane;
			update names set lane = v_lane where name = v_name;
		end if;
	end loop;
end $$;

-- append_lock is held by one append, or by what must exclude appends.
create or replace function append_lock() returns void language plpgsql as $$
begin
	perform pg_advisory_xact_lock(hashtextextended('relay append', 'lanes'::regclass::oid::bigint));
end $$;

-- append_events keeps the events of several batches: all or nothing. Appends come one after the other,
-- and no lane is renamed meanwhile. So the entries of a lane become visible in the order of their
-- numbers, and what an append reads of IDs, nonces and names stays. It locks only lanes that an event
-- is offered to or that hold a problem, and p_lanes, which the transaction changes besides.
--
-- An owner may mark entries between what is read of the problems and the lock of the lanes. That is as
-- if it had marked them after the append: no mark depends on entries that it does not name.
--
-- Names, sources, problems and sets of served lanes are given once, and named by their place. The first
-- p_offered names are those of offers. e_first is the first event with the ID, and e_again says that
-- another event of the problem follows. A duplicate is reported with the name 0, and a name beyond
-- n_name is one of out_names.
create or replace function append_events(
	p_max_lane bigint, p_max bigint, p_max_bytes bigint, p_remembered bigint, p_clock bigint,
	p_lanes integer[], p_offered integer,
	n_name text[], s_name text[], q_problem bytea[], v_set integer[], v_name integer[],
	c_nonce uuid[], c_end integer[], c_size integer[], c_set integer[],
	e_batch integer[], e_source integer[], e_problem integer[], e_first integer[], e_again boolean[],
	e_hash uuid[], e_id bytea[], e_state integer[], e_level integer[], e_time bigint[],
	e_accepted bigint[], e_trace bytea[], e_body bytea[], e_size integer[],
	e_offers integer[], e_fallback boolean[], e_follows boolean[],
	o_name integer[], o_ignored bytea[],
	out out_clock bigint, out out_names text[], out out_event integer[], out out_name integer[],
	out out_lane integer[], out out_seq bigint[], out out_sticky boolean[], out out_outcome integer[]
) language plpgsql as $$
#variable_conflict use_column
declare
	v_now bigint;
	v_known integer[]; -- batches whose nonce is known
	v_of integer[];    -- the lane of each name
	s_id integer[]; -- of each source
	s_n bigint[];
	-- what lanes hold of each problem: a list
	q_head integer[];
	h_next integer[] := '{}';
	h_problem integer[];
	h_lane integer[];
	h_shows boolean[]; -- the record is open
	h_recoveries integer[];
	-- lanes that are locked
	l_id integer[];
	l_seq bigint[];
	l_ended bigint[];
	l_pending bigint[];
	l_bytes bigint[];
	l_dead bigint[];
	e_kept boolean[]; -- the ID is remembered
	r_event integer[] := '{}'; -- whose ID is to be remembered
	r_n bigint[] := '{}';
	p_offer integer[] := '{}'; -- the offer of each placement; 0: none
	v_added boolean := false;  -- an entry is pending
	v_over boolean := false;   -- an entry has ended at once
	v_set_now integer := 0;    -- the set of v_served
	v_served integer[];
	v_served_name integer[];
	v_first integer;           -- placements before those of the event
	v_last integer := 0;
	v_offer integer := 0;
	v_head integer;
	v_lane integer;
	v_place integer;
	v_outcome integer;
	v_sum bigint;
	v_bytes bigint;
	k integer;
begin
	perform append_lock();
	v_now := greatest(store_clock(), p_clock);
	out_clock := v_now;
	out_names := '{}'; out_event := '{}'; out_name := '{}'; out_lane := '{}'; out_seq := '{}';
	out_sticky := '{}'; out_outcome := '{}';

	if c_nonce is not null then
		select array_agg(distinct c.batch::integer) into v_known
		from unnest(c_nonce) with ordinality c(nonce, batch) join nonces n on n.nonce = c.nonce;
	end if;

	select array_agg(n.lane order by x.ord) into v_of
	from unnest(n_name) with ordinality x(name, ord) left join names n on n.name = x.name;

	loop
		select array_agg(s.id order by x.ord), array_agg(s.n order by x.ord) into s_id, s_n
		from unnest(s_name) with ordinality x(name, ord) left join sources s on s.name = x.name;
		exit when array_position(s_id, null) is null;
		insert into sources (name) select name from unnest(s_name) s(name) on conflict do nothing;
	end loop;

	select array_agg(exists (
		select from seen
		where source = s_id[x.source] and hash = x.hash and seen.n > s_n[x.source] - p_remembered
	) order by x.ord) into e_kept
	from unnest(e_hash, e_source) with ordinality x(hash, source, ord);

	select coalesce(array_agg(ord::integer), '{}'), coalesce(array_agg(lane), '{}'),
		array_agg(open), array_agg(recoveries)
	into h_problem, h_lane, h_shows, h_recoveries
	from unnest(q_problem) with ordinality x(problem, ord) join problems p on p.problem = x.problem
	where p.pending > 0 or p.dead > 0 or p.open;
	q_head := array_fill(0, array[cardinality(q_problem)]);
	for i in 1 .. cardinality(h_problem) loop
		h_next := h_next || q_head[h_problem[i]];
		q_head[h_problem[i]] := i;
	end loop;

	select array_agg(id), array_agg(seq), array_agg(ended), array_agg(pending), array_agg(bytes),
		array_agg(dead)
	into l_id, l_seq, l_ended, l_pending, l_bytes, l_dead
	from (
		select id, seq, ended, pending, bytes, dead from lanes
		where id = any(v_of[:p_offered] || h_lane || p_lanes) order by id for update
	) l;

	for i in 1 .. cardinality(e_batch) loop
		v_offer := v_offer + e_offers[i];
		continue when e_batch[i] = any(v_known);
		if e_kept[e_first[i]] then
			out_event := out_event || i; out_name := out_name || 0; out_lane := out_lane || 0;
			out_seq := out_seq || 0::bigint; out_sticky := out_sticky || false;
			out_outcome := out_outcome || 0; p_offer := p_offer || 0;
			v_last := v_last + 1;
			continue;
		end if;
		v_first := v_last;
		v_head := q_head[e_problem[i]];
		if v_head > 0 and c_set[e_batch[i]] <> v_set_now then
			v_set_now := c_set[e_batch[i]];
			select array_agg(v_of[name]), array_agg(name) into v_served, v_served_name
			from unnest(v_set, v_name) x(set, name) where set = v_set_now;
		end if;
		for o in v_offer - e_offers[i] + 1 .. v_offer loop
			v_lane := v_of[o_name[o]];
			continue when v_lane = any(out_lane[v_first + 1:]); -- under another name
			if e_fallback[i] then
				k := v_head;
				while k > 0 and not (h_lane[k] <> v_lane and h_lane[k] = any(v_served)
					and (h_shows[k] and h_recoveries[k] = 0 or e_follows[i]))
				loop
					k := h_next[k];
				end loop;
				continue when k > 0;
			end if;
			out_event := out_event || i; out_name := out_name || o_name[o];
			out_lane := out_lane || v_lane; out_sticky := out_sticky || false;
			p_offer := p_offer || o;
			v_last := v_last + 1;
		end loop;
		k := v_head;
		while k > 0 loop
			v_lane := h_lane[k];
			k := h_next[k];
			continue when v_lane = any(out_lane[v_first + 1:]);
			v_place := v_served_name[array_position(v_served, v_lane)];
			if v_place is null then
				out_names := out_names || (select l.name from lanes l where l.id = v_lane);
				v_place := cardinality(n_name) + cardinality(out_names);
			end if;
			out_event := out_event || i; out_name := out_name || v_place;
			out_lane := out_lane || v_lane; out_sticky := out_sticky || true;
			p_offer := p_offer || 0;
			v_last := v_last + 1;
		end loop;
		continue when v_last = v_first;
		if e_hash[i] is not null then
			e_kept[e_first[i]] := true;
			s_n[e_source[i]] := s_n[e_source[i]] + 1;
			r_event := r_event || i; r_n := r_n || s_n[e_source[i]];
		end if;
		for p in v_first + 1 .. v_last loop
			v_place := array_position(l_id, out_lane[p]);
			l_seq[v_place] := l_seq[v_place] + 1;
			out_seq := out_seq || l_seq[v_place];
			if o_ignored[p_offer[p]] is not null then
				v_outcome := 3;
			elsif l_pending[v_place] >= p_max_lane then
				v_outcome := 4;
				l_dead[v_place] := l_dead[v_place] + 1;
			else
				v_outcome := 0;
				v_added := true;
				l_pending[v_place] := l_pending[v_place] + 1;
				l_bytes[v_place] := l_bytes[v_place] + e_size[i];
			end if;
			out_outcome := out_outcome || v_outcome;
			if v_outcome <> 0 then
				l_ended[v_place] := l_ended[v_place] + 1;
				v_over := true;
			end if;
			if e_again[i] and v_outcome <> 3 then
				k := q_head[e_problem[i]];
				while k > 0 and h_lane[k] <> out_lane[p] loop
					k := h_next[k];
				end loop;
				if k = 0 then
					h_lane := h_lane || out_lane[p]; h_next := h_next || q_head[e_problem[i]];
					h_shows := h_shows || false; h_recoveries := h_recoveries || 0;
					k := cardinality(h_lane);
					q_head[e_problem[i]] := k;
				end if;
				if v_outcome = 0 and e_state[i] = 2 then
					h_recoveries[k] := h_recoveries[k] + 1;
				end if;
			end if;
		end loop;
	end loop;

	if cardinality(out_seq) > 0 then -- not only duplicates
		insert into entries (lane, seq, state, level, sticky, kept, time, accepted, problem, id, trace,
			body)
		select p.lane, p.seq, e_state[p.event], e_level[p.event], p.sticky, v_now, e_time[p.event],
			e_accepted[p.event], q_problem[e_problem[p.event]], e_id[p.event], e_trace[p.event],
			e_body[p.event]
		from unnest(out_event, out_lane, out_seq, out_sticky, out_outcome, out_name)
			p(event, lane, seq, sticky, outcome, name) where p.outcome = 0 and p.name > 0;
		-- without time: what finds its lane full does not make late what is pending
		insert into problems as p (problem, lane, pending, recoveries, dead, last, at, changed)
		select q_problem[x.problem], x.lane, x.pending, x.recoveries, x.dead, coalesce(x.last, 0), x.at,
			case when x.dead > 0 then v_now else 0 end
		from (
			select e_problem[p.event] as problem, p.lane,
				count(*) filter (where p.outcome = 0) as pending,
				count(*) filter (where p.outcome = 0 and e_state[p.event] = 2) as recoveries,
				count(*) filter (where p.outcome = 4) as dead,
				max(p.seq) filter (where p.outcome = 4 and e_state[p.event] <> 0) as last,
				max(e_accepted[p.event]) filter (where p.outcome = 4) as at
			from unnest(out_event, out_lane, out_seq, out_outcome, out_name)
				p(event, lane, seq, outcome, name)
			where p.outcome <> 3 and p.name > 0 group by 1, 2
		) x
		on conflict (problem, lane) do update set
			pending = p.pending + excluded.pending,
			recoveries = p.recoveries + excluded.recoveries,
			dead = p.dead + excluded.dead,
			last = greatest(p.last, excluded.last),
			at = coalesce(excluded.at, p.at),
			changed = greatest(p.changed, excluded.changed);
		insert into seen (source, hash, n)
		select s_id[e_source[r.event]], e_hash[r.event], r.n from unnest(r_event, r_n) r(event, n)
		on conflict (source, hash) do update set n = excluded.n;
		update sources set n = s.n from unnest(s_id, s_n) s(id, n)
		where sources.id = s.id and sources.n <> s.n;
		update lanes set seq = l.seq, ended = l.ended, pending = l.pending, bytes = l.bytes,
			dead = l.dead
		from unnest(l_id, l_seq, l_ended, l_pending, l_bytes, l_dead)
			l(id, seq, ended, pending, bytes, dead)
		where lanes.id = l.id and lanes.seq <> l.seq;
		select sum(l.pending), sum(l.bytes) into v_sum, v_bytes from lanes l;
		if v_added and (v_sum > p_max or v_bytes > p_max_bytes) then
			raise exception using errcode = 'RL001', message = format(
				'%s entries and %s bytes would be pending', v_sum, v_bytes);
		end if;
	end if;
	if v_over then
		insert into history (lane, n, seq, state, level, failed, begun, sticky, kept, time, accepted,
			problem, id, trace, outcome, reason, at)
		select p.lane, l_ended[array_position(l_id, p.lane)] + 1
				- row_number() over (partition by p.lane order by p.seq desc),
			p.seq, e_state[p.event], e_level[p.event], 0, false, p.sticky, v_now, e_time[p.event],
			e_accepted[p.event], q_problem[e_problem[p.event]], e_id[p.event], e_trace[p.event],
			p.outcome, coalesce(o_ignored[p.offer], 'lane full'), e_accepted[p.event]
		from unnest(out_event, out_lane, out_seq, out_sticky, out_outcome, p_offer)
			p(event, lane, seq, sticky, outcome, offer) where p.outcome <> 0;
		insert into dead (lane, seq, state, level, failed, begun, sticky, kept, time, accepted, problem,
			id, trace, reason, at, ended, body)
		select p.lane, p.seq, e_state[p.event], e_level[p.event], 0, false, p.sticky, v_now,
			e_time[p.event], e_accepted[p.event], q_problem[e_problem[p.event]], e_id[p.event],
			e_trace[p.event], 'lane full', e_accepted[p.event], v_now, e_body[p.event]
		from unnest(out_event, out_lane, out_seq, out_sticky, out_outcome)
			p(event, lane, seq, sticky, outcome) where p.outcome = 4;
	end if;

	-- An append that wrote nothing must be replicated too: what it reports may have been written by one
	-- that was not yet.
	perform pg_current_xact_id();
	if c_nonce is not null then
		insert into nonces (nonce, n, kept, event, name, seq, sticky, outcome)
		select c.nonce, coalesce(p.n, 0), v_now,
			p.event - 1 - c_end[c.batch] + c_size[c.batch], (n_name || out_names)[p.name], p.seq, p.sticky, p.outcome
		from unnest(c_nonce) with ordinality c(nonce, batch)
		left join unnest(out_event, out_name, out_seq, out_sticky, out_outcome) with ordinality
			p(event, name, seq, sticky, outcome, n) on e_batch[p.event] = c.batch
		where c.nonce is not null and c.batch <> all(coalesce(v_known, '{}'));
	end if;
	if v_known is not null then
		select out_event || array_agg(r.event order by r.ord), out_seq || array_agg(r.seq order by r.ord),
			out_name || array_agg(case when r.name is null then 0
				else cardinality(n_name || out_names) + r.ord end order by r.ord)::integer[],
			out_names || array_agg(r.name order by r.ord), out_lane || array_agg(0),
			out_sticky || array_agg(r.sticky order by r.ord),
			out_outcome || array_agg(r.outcome order by r.ord)
		into out_event, out_seq, out_name, out_names, out_lane, out_sticky, out_outcome
		from (
			select c_end[c.batch] - c_size[c.batch] + n.event + 1 as event, n.seq, n.name, n.sticky,
				n.outcome, row_number() over (order by c.batch, n.n) as ord
			from unnest(c_nonce) with ordinality c(nonce, batch) join nonces n on n.nonce = c.nonce
			where c.batch = any(v_known) and n.event < c_size[c.batch]
		) r;
	end if;
end $$;

-- owned locks a lane and returns whether the lease with this token owns it.
create or replace function owned(p_lane integer, p_token bigint) returns boolean
language plpgsql as $$
declare
	v_token bigint;
begin
	select token into v_token from lanes where id = p_lane for update;
	return coalesce(v_token = p_token, false);
end $$;

-- mark_entries makes the marks of one call. Its result is null if the lease has ended.
create or replace function mark_entries(
	p_lane integer, p_token bigint, p_clock bigint,
	m_seq bigint[], m_problem bytea[], m_state integer[], m_level integer[], m_time bigint[],
	m_failed integer[], m_doubt boolean[], m_outcome integer[], m_reason bytea[], m_at bigint[]
) returns bigint language plpgsql as $$
declare
	v_now bigint;
	v_ended bigint;
	v_pending bigint := 0;
	v_bytes bigint := 0;
	v_dead bigint := 0;
	v_n bigint;
	e entries;
	s integer;
	o integer;
begin
	if not owned(p_lane, p_token) then
		return null;
	end if;
	v_now := greatest(store_clock(), p_clock);
	select ended into v_ended from lanes where id = p_lane;
	v_n := v_ended;
	for i in 1 .. coalesce(array_length(m_seq, 1), 0) loop
		s := m_state[i];
		o := m_outcome[i];
		if o = 0 then
			update entries set begun = true, failed = m_failed[i]
			where lane = p_lane and seq = m_seq[i];
			continue when not found;
		else
			delete from entries where lane = p_lane and seq = m_seq[i] returning * into e;
			continue when not found;
			v_n := v_n + 1;
			v_pending := v_pending + 1;
			v_bytes := v_bytes + octet_length(e.body) + octet_length(e.problem)
				+ octet_length(e.id) + octet_length(e.trace);
			insert into history (lane, n, seq, state, level, failed, begun, sticky, kept, time,
				accepted, problem, id, trace, outcome, reason, at)
			values (p_lane, v_n, e.seq, e.state, e.level, e.failed, e.begun, e.sticky, e.kept,
				e.time, e.accepted, e.problem, e.id, e.trace, o, m_reason[i], m_at[i]);
			if o = 4 then
				v_dead := v_dead + 1;
				insert into dead (lane, seq, state, level, failed, begun, sticky, kept, time,
					accepted, problem, id, trace, reason, at, ended, body)
				values (p_lane, e.seq, e.state, e.level, e.failed, e.begun, e.sticky, e.kept,
					e.time, e.accepted, e.problem, e.id, e.trace, m_reason[i], m_at[i], v_now,
					e.body);
			end if;
			update problems set pending = pending - 1,
				recoveries = recoveries - (e.state = 2)::integer,
				dead = dead + (o = 4)::integer
			where problem = e.problem and lane = p_lane and e.problem <> m_problem[i];
		end if;
		-- The record, as store.Record.Apply changes it.
		insert into problems as p (problem, lane, last, seq, open, shown, doubt, time, at, changed)
		values (m_problem[i], p_lane,
			case when s <> 0 then m_seq[i] else 0 end,
			case when o = 0 then m_seq[i] else 0 end,
			s = 1 and o in (0, 1),
			case when s = 1 and o = 1 then m_level[i] else 0 end,
			m_doubt[i] and (s = 1 or s = 2 and o = 1),
			case when s <> 0 then m_time[i] end,
			m_at[i], v_now)
		on conflict (problem, lane) do update set
			pending = p.pending - (o <> 0 and e.problem = p.problem)::integer,
			recoveries = p.recoveries - (o <> 0 and e.state = 2 and e.problem = p.problem)::integer,
			dead = p.dead + (o = 4 and e.problem = p.problem)::integer,
			last = greatest(p.last, excluded.last),
			seq = greatest(p.seq, excluded.seq),
			open = case when s = 2 and o = 1 then false else p.open or excluded.open end,
			shown = case when s in (1, 2) and o = 1 then excluded.shown else p.shown end,
			doubt = case when s = 2 and o = 1 then excluded.doubt
				else p.doubt or excluded.doubt end,
			time = greatest(p.time, excluded.time),
			at = excluded.at,
			changed = excluded.changed;
	end loop;
	if v_n > v_ended then
		update lanes set ended = v_n, pending = pending - v_pending, bytes = bytes - v_bytes,
			dead = dead + v_dead
		where id = p_lane;
	end if;
	return v_now;
end $$;

-- take_dead deletes a dead letter, and makes it pending again if p_revive is set. status is null if
-- the lease has ended, and false if there is no such dead letter.
create or replace function take_dead(
	p_lane integer, p_token bigint, p_clock bigint, p_seq bigint, p_revive boolean,
	out status boolean, out clock bigint
) language plpgsql as $$
declare
	d dead;
begin
	if not owned(p_lane, p_token) then
		return;
	end if;
	clock := greatest(store_clock(), p_clock);
	delete from dead where lane = p_lane and seq = p_seq returning * into d;
	status := found;
	if not found then
		return;
	end if;
	if p_revive then
		insert into entries (lane, seq, state, level, failed, begun, sticky, kept, time, accepted,
			problem, id, trace, body)
		values (p_lane, d.seq, d.state, d.level, 0, true, d.sticky, clock, d.time, d.accepted,
			d.problem, d.id, d.trace, d.body);
	end if;
	update problems set dead = dead - 1, pending = pending + p_revive::integer,
		recoveries = recoveries + (p_revive and d.state = 2)::integer,
		changed = case when changed > 0 then clock else 0 end
	where problem = d.problem and lane = p_lane;
	update lanes set dead = dead - 1, pending = pending + p_revive::integer,
		bytes = bytes + case when p_revive then octet_length(d.body) + octet_length(d.problem)
			+ octet_length(d.id) + octet_length(d.trace) else 0 end
	where id = p_lane;
end $$;

-- set_pause keeps the pause of a lane, or removes it if p_until is null. Its result is null if the
-- lease has ended.
create or replace function set_pause(
	p_lane integer, p_token bigint, p_clock bigint,
	p_until bigint, p_by bytea, p_reason bytea, p_at bigint
) returns bigint language plpgsql as $$
begin
	if not owned(p_lane, p_token) then
		return null;
	end if;
	if p_until is null then
		delete from pauses where lane = p_lane;
	else
		insert into pauses (lane, until, by, reason, at)
		values (p_lane, p_until, p_by, p_reason, p_at)
		on conflict (lane) do update set until = excluded.until, by = excluded.by,
			reason = excluded.reason, at = excluded.at;
	end if;
	return greatest(store_clock(), p_clock);
end $$;

-- end_leases ends leases, with all their lanes. The caller has locked all lanes.
create or replace function end_leases(p_tokens bigint[]) returns void language plpgsql as $$
begin
	update lanes set token = null where token = any(p_tokens);
	delete from figures where token = any(p_tokens);
	delete from leases where token = any(p_tokens);
end $$;

-- rename_lane gives a lane another name. in_use: nothing was changed.
create or replace function rename_lane(p_from text, p_to text, out in_use boolean,
	out ended bigint[]) language plpgsql as $$
declare
	keep lanes;
	gone lanes;
begin
	in_use := false;
	perform append_lock();
	perform make_lanes(array[p_from, p_to]);
	perform lock_lanes(null);
	select l.* into keep from lanes l join names n on n.lane = l.id where n.name = p_to;
	select l.* into gone from lanes l join names n on n.lane = l.id where n.name = p_from;
	if keep.id = gone.id and keep.name = p_to then
		return;
	end if;
	if keep.id <> gone.id then
		if keep.seq > 0 and gone.seq > 0 then
			in_use := true;
			return;
		end if;
		if gone.seq > 0 then
			select l.* into gone from lanes l where l.id = keep.id;
			select l.* into keep from lanes l join names n on n.lane = l.id where n.name = p_from;
		end if;
	end if;
	select array_agg(l.token) into ended from lanes l
	where l.id in (keep.id, gone.id) and l.token is not null and (l.id = gone.id or l.name <> p_to);
	perform end_leases(coalesce(ended, '{}'));
	if keep.id <> gone.id then
		update names set lane = keep.id where lane = gone.id;
		delete from pauses where lane = gone.id;
		delete from lanes where id = gone.id;
	end if;
	update lanes set name = p_to where id = keep.id;
end $$;

-- acquire makes the caller the owner of lanes. It fails, with a busy lane, while one of them is
-- under a live lease that is not one of the caller's own, p_mine. wait is how long that lease lasts.
--
-- After the promotion of a standby every caller waits for the time of a lease. A standby may lack the
-- last leases and renewals that its primary has acknowledged: their owners go on until these end.
create or replace function acquire(
	p_node text, p_group text, p_names text[], p_token bigint, p_lease bigint, p_clock bigint,
	p_mine bigint[], p_engine text,
	out clock bigint, out busy text, out wait bigint, out ids integer[], out ended bigint[]
) language plpgsql as $$
declare
	v_tokens bigint[];
begin
	clock := greatest(store_clock(), p_clock);
	if exists (select from clock c where c.engine is distinct from p_engine) then
		update clock c set engine = p_engine, since = case when c.engine is null then 0 else clock end
		where c.engine is distinct from p_engine;
		busy := ''; wait := 0; -- the caller comes again: it locks no lanes while it has locked the clock
		return;
	end if;
	select 'a node before the promotion', c.since + p_lease - clock into busy, wait from clock c
	where c.since > 0 and c.since + p_lease > clock;
	if found then
		return;
	end if;
	-- Standbys ask each second: they must not lock what appends lock.
	select s.node, s.until - clock into busy, wait
	from names n join lanes l on l.id = n.lane join leases s on s.token = l.token
	where n.name = any(p_names) and s.token <> all(p_mine) and s.until > clock
	order by s.until desc limit 1;
	if found then
		return;
	end if;
	perform lock_lanes(null);
	clock := greatest(store_clock(), p_clock);
	select array_agg(n.lane order by p.ord) into ids
	from unnest(p_names) with ordinality p(name, ord) join names n on n.name = p.name;
	select array_agg(distinct token) into v_tokens from lanes
	where id = any(ids) and token is not null;
	-- The rows of the leases are locked, so that none is renewed meanwhile.
	perform 1 from leases where token = any(v_tokens) order by token for update;
	select s.node, s.until - clock into busy, wait from leases s
	where s.token = any(v_tokens) and s.token <> all(p_mine) and s.until > clock
	order by s.until desc limit 1;
	if found then
		return;
	end if;
	ended := coalesce(v_tokens, '{}');
	perform end_leases(ended);
	insert into leases (token, node, name, until)
	values (p_token, p_node, p_group, clock + p_lease)
	on conflict (token) do update set until = excluded.until;
	update lanes set token = p_token where id = any(ids);
end $$;

-- release ends a lease.
create or replace function release(p_token bigint) returns void language plpgsql as $$
begin
	perform 1 from lanes where token = p_token order by id for update;
	perform end_leases(array[p_token]);
end $$;

-- beat says that a node is there: it moves the clock, renews the node's leases, and keeps what they
-- publish. alive are those that were renewed.
create or replace function beat(
	p_node bigint, p_name text, p_clock bigint, p_tokens bigint[], p_lease bigint,
	f_token bigint[], f_lane integer[], f_figures bytea[],
	out clock bigint, out alive bigint[]
) language plpgsql as $$
#variable_conflict use_column
declare
	v_now bigint;
begin
	select greatest(store_clock(), p_clock) into v_now from clock for update;
	v_now := greatest(store_clock(), p_clock); -- again, now that the row is locked
	update clock c set base = v_now, at = clock_timestamp();
	clock := v_now;
	insert into nodes (id, name, seen) values (p_node, p_name, v_now)
	on conflict (id) do update set seen = excluded.seen;
	with renewed as (
		update leases s set until = v_now + p_lease
		where s.token in (
			select token from leases where token = any(p_tokens) order by token for update
		)
		returning s.token
	) select array_agg(token) into alive from renewed;
	insert into figures (lane, token, figures, seen)
	select f.lane, f.token, f.figures, v_now
	from unnest(f_token, f_lane, f_figures) f(token, lane, figures)
	where f.token = any(alive) order by f.lane
	on conflict (lane) do update set token = excluded.token, figures = excluded.figures,
		seen = excluded.seen;
end $$;

-- leave says that a node closes the store. After the last one the clock stands still.
create or replace function leave(p_node bigint, p_clock bigint, p_tokens bigint[]) returns void
language plpgsql as $$
declare
	v_now bigint;
begin
	perform 1 from lanes where token = any(p_tokens) order by id for update;
	perform end_leases(p_tokens);
	perform 1 from clock for update;
	v_now := greatest(store_clock(), p_clock);
	delete from nodes where id = p_node or seen < v_now - 60 * 1000000000::bigint;
	-- A node that has not been seen for five seconds is dead, or cannot use the store.
	if exists (select from nodes where seen > v_now - 5 * 1000000000::bigint) then
		update clock set base = v_now, at = clock_timestamp();
	else
		update clock set base = v_now, at = null;
	end if;
end $$;

-- expire deletes some of what is too old or too many: in one lane, the next one after p_after; and
-- after the last lane of what belongs to no lane, and of the records after p_problem. It does nothing
-- while another node does so. lane is the lane, 0 after the last one; more: there is more to delete.
-- lost are the records of open problems that were deleted because there were too many in the lane
-- name, and stale those of any lane that were too old.
create or replace function expire(
	p_after integer, p_clock bigint, p_look integer, p_history bigint, p_max_dead bigint,
	p_dead_age bigint, p_dead_bytes bigint, p_max_records bigint, p_closed_age bigint,
	p_open_age bigint, p_remembered bigint, p_nonce_age bigint, p_request_age bigint, p_count boolean,
	p_problem bytea,
	out lane integer, out more boolean, out name text, out lost bigint, out stale bigint,
	out example bytea, out next_problem bytea
) language plpgsql as $$
#variable_conflict use_column
declare
	v_now bigint;
	v_lane lanes;
	v_n bigint;
	v_seq bigint[];
	v_lanes integer[];
	v_problems bytea[];
	v_bytes bigint;
begin
	lane := p_after; more := false; lost := 0; stale := 0; next_problem := p_problem;
	if not pg_try_advisory_xact_lock(hashtextextended('relay expire', 'lanes'::regclass::oid::bigint))
	then
		return;
	end if;
	perform append_lock(); -- what an append has read of an open problem must stay
	select * into v_lane from lanes where id > p_after order by id limit 1 for update;
	if not found then
		lane := 0;
		v_now := greatest(store_clock(), p_clock);
		-- Records that are too old. This comes first: whoever locks lanes has locked nothing else.
		select array_agg(x.lane) filter (where old), array_agg(x.problem) filter (where old), count(*),
			(array_agg(x.problem order by x.problem desc))[1]
		into v_lanes, v_problems, v_n, next_problem
		from (
			select p.lane, p.problem, p.pending = 0 and p.dead = 0 and p.changed < v_now
				- case when p.open then p_open_age else p_closed_age end as old
			from problems p where p.problem >= p_problem order by p.problem, p.lane limit p_look
		) x;
		-- A problem of more lanes than one look has rows is passed over.
		if v_n < p_look then
			next_problem := '';
		elsif next_problem = p_problem then
			next_problem := p_problem || '\x00'::bytea;
		end if;
		if v_problems is not null then
			perform lock_lanes(v_lanes);
			with gone as (
				delete from problems p using unnest(v_lanes, v_problems) x(lane, problem)
				where p.problem = x.problem and p.lane = x.lane and p.pending = 0 and p.dead = 0
					and p.changed < v_now - case when p.open then p_open_age else p_closed_age end
				returning p.open, p.problem
			) select count(*) filter (where open), (array_agg(problem) filter (where open))[1]
			into stale, example from gone;
		end if;
		delete from nonces where nonce in (
			select nonce from nonces where kept < v_now - p_nonce_age order by kept limit p_look);
		get diagnostics v_n = row_count;
		more := v_n = p_look;
		delete from requests where kept < v_now - p_request_age;
		for v_n in
			with gone as (
				delete from seen x using (
					select seen.source, seen.hash from sources s cross join lateral (
						select source, hash from seen
						where source = s.id and n <= s.n - p_remembered order by n limit p_look
					) seen
				) old where x.source = old.source and x.hash = old.hash returning x.source
			) select count(*) from gone group by source
		loop
			more := more or v_n = p_look;
		end loop;
		return;
	end if;
	v_now := greatest(store_clock(), p_clock);
	lane := v_lane.id; name := v_lane.name;

	delete from history h where h.lane = v_lane.id and h.n in (
		select n from history where lane = v_lane.id and n <= v_lane.ended - p_history
		order by n limit p_look);
	get diagnostics v_n = row_count;
	more := v_n = p_look;

	-- Dead letters: the oldest by number, and those that are too old.
	select array_agg(seq) into v_seq from (
		select seq from (
			select seq, ended, row_number() over (order by seq) as n from (
				select seq, ended from dead where lane = v_lane.id order by seq limit p_look) d
		) d where n <= v_lane.dead - p_max_dead or ended < v_now - p_dead_age
	) d;
	if p_count then
		select sum(octet_length(body)) into v_bytes from dead;
		if v_bytes > p_dead_bytes and v_lane.dead > 1 then
			select v_seq || array_agg(seq) into v_seq from (
				select seq, sum(octet_length(body)) over (order by seq) - octet_length(body) as below,
					row_number() over (order by seq) as n
				from dead where lane = v_lane.id
			) d where below < v_bytes - p_dead_bytes and n < v_lane.dead;
		end if;
	end if;
	with gone as (
		delete from dead where lane = v_lane.id and seq = any(v_seq) returning problem
	), counted as (
		update problems p set dead = p.dead - g.n,
			changed = case when p.changed > 0 then v_now else 0 end
		from (select problem, count(*) as n from gone group by problem) g
		where p.lane = v_lane.id and p.problem = g.problem
	) select count(*) into v_n from gone;
	if v_n > 0 then
		update lanes set dead = dead - v_n where id = v_lane.id;
		more := more or v_n >= p_look;
	end if;

	-- Records that are too many: closed ones first, and of each kind those that are unchanged longest.
	if p_count then
		select count(*) into v_n from problems where lane = v_lane.id and pending = 0 and dead = 0;
		if v_n > p_max_records then
			with gone as (
				delete from problems p where p.lane = v_lane.id and p.problem in (
					select problem from problems where lane = v_lane.id and pending = 0 and dead = 0
					order by open, changed limit least(v_n - p_max_records, 20000)
				) returning p.open, p.problem
			) select count(*) filter (where open), (array_agg(problem) filter (where open))[1]
			into lost, example from gone;
			more := true;
		end if;
	end if;
end $$;
