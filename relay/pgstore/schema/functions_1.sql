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

-- append_events keeps the events of several batches: all or nothing. It locks all lanes, and so all
-- appends come one after the other: what it reads of lanes, problems and IDs stays until it commits.
-- The lock also makes the transaction one that is replicated before the caller is answered, even if
-- all events are duplicates or a nonce is known.
--
-- The events come in rounds, r_first to r_last: no problem and no ID is twice in one round.
-- A duplicate is reported with a null name. Bodies are looked up where they are kept, so that they are
-- not copied from step to step.
create or replace function append_events(
	p_max_lane bigint, p_max bigint, p_max_bytes bigint, p_remembered bigint, p_clock bigint,
	c_nonce bytea[],
	s_batch integer[], s_name text[],
	r_first integer[], r_last integer[],
	e_batch integer[], e_index integer[], e_source text[], e_hash uuid[], e_id bytea[],
	e_problem bytea[], e_state integer[], e_level integer[], e_time bigint[], e_accepted bigint[],
	e_trace bytea[], e_body bytea[], e_size integer[],
	o_event integer[], o_name text[], o_ignored bytea[], o_fallback boolean[],
	o_follows boolean[],
	out out_clock bigint, out out_batch integer[], out out_event integer[], out out_name text[],
	out out_lane integer[], out out_seq bigint[], out out_sticky boolean[],
	out out_outcome integer[]
) language plpgsql as $$
#variable_conflict use_column
declare
	v_now bigint;
	v_known integer[] := '{}'; -- batches whose nonce is known
	v_all placed[] := '{}';
	v_round placed[];
	v_added boolean := false;
	v_pending boolean;
	v_ended boolean;
	v_sum bigint;
	v_bytes bigint;
begin
	perform 1 from lanes order by id for update; -- as lock_lanes
	v_now := greatest(store_clock(), p_clock);
	out_clock := v_now;

	if c_nonce is not null then
		with known as (
			select b.ord::integer as batch, n.* from unnest(c_nonce) with ordinality b(nonce, ord)
			join nonces n on n.nonce = b.nonce
		), results as (
			select k.batch, r.* from known k,
				unnest(k.events, k.lanes, k.seqs, k.sticky, k.outcomes)
				as r(event, name, seq, sticky, outcome)
		)
		select (select array_agg(batch) from known),
			array_agg(batch), array_agg(event), array_agg(name), array_agg(0), array_agg(seq),
			array_agg(r.sticky), array_agg(outcome)
		into v_known, out_batch, out_event, out_name, out_lane, out_seq, out_sticky, out_outcome
		from results r;
		v_known := coalesce(v_known, '{}');
	end if;

	insert into sources (name)
	select distinct s.name from unnest(e_source) s(name)
	where not exists (select from sources o where o.name = s.name) order by 1
	on conflict do nothing;

	for r in 1 .. array_length(r_first, 1) loop
		with ev as materialized (
			select r_first[r] - 1 + u.ord::integer as event, u.batch, u.source, u.hash, u.id,
				u.problem, u.state, u.level, u.time, u.accepted, u.trace
			from unnest(
				e_batch[r_first[r]:r_last[r]], e_source[r_first[r]:r_last[r]],
				e_hash[r_first[r]:r_last[r]], e_id[r_first[r]:r_last[r]],
				e_problem[r_first[r]:r_last[r]], e_state[r_first[r]:r_last[r]],
				e_level[r_first[r]:r_last[r]], e_time[r_first[r]:r_last[r]],
				e_accepted[r_first[r]:r_last[r]], e_trace[r_first[r]:r_last[r]]
			) with ordinality as u(batch, source, hash, id, problem, state, level, time, accepted,
				trace, ord)
			where u.batch <> all(v_known)
		), fresh as materialized (
			select ev.*, s.id as source_id, s.n as source_n from ev
			join sources s on s.name = ev.source
			where ev.hash is null or not exists (
				select from seen
				where seen.source = s.id and seen.hash = ev.hash and seen.n > s.n - p_remembered
			)
		), held as materialized (
			select f.event, f.batch, p.lane, p.open, p.recoveries from fresh f
			join problems p on p.problem = f.problem
			where p.pending > 0 or p.dead > 0 or p.open
		), offer as materialized (
			select distinct on (f.event, n.lane)
				f.event, n.lane, o.name, o.ignored, o.pos
			from unnest(o_event, o_name, o_ignored, o_fallback, o_follows) with ordinality
				as o(event, name, ignored, fallback, follows, pos)
			join fresh f on f.event = o.event
			join names n on n.name = o.name
			where not o.fallback or not exists (
				select from held h
				where h.event = f.event and h.lane <> n.lane
				and (h.open and h.recoveries = 0 or o.follows)
				and h.lane in (
					select sn.lane from unnest(s_batch, s_name) s(batch, name)
					join names sn on sn.name = s.name where s.batch = f.batch
				)
			)
			order by f.event, n.lane, o.pos
		), place as (
			select o.event, o.lane, o.name, o.ignored, false as sticky, o.pos from offer o
			union all
			select h.event, h.lane, coalesce((
				select min(s.name) from unnest(s_batch, s_name) s(batch, name)
				join names sn on sn.name = s.name
				where s.batch = h.batch and sn.lane = h.lane
			), (select l.name from lanes l where l.id = h.lane)), null, true, null
			from held h
			where not exists (select from offer o where o.event = h.event and o.lane = h.lane)
		), numbered as materialized (
			select p.*, l.seq + row_number() over w as seq,
				case when p.ignored is not null then 3
				when l.pending + count(*) filter (where p.ignored is null) over w > p_max_lane then 4
				else 0 end as outcome
			from place p join lanes l on l.id = p.lane
			window w as (partition by p.lane order by p.event rows unbounded preceding)
		), copy as materialized (
			select n.*, f.source_id, f.source_n, f.hash, f.id, f.problem, f.state, f.level, f.time,
				f.accepted, f.trace
			from numbered n join fresh f on f.event = n.event
		), add_entries as (
			insert into entries (lane, seq, state, level, sticky, kept, time, accepted, problem, id,
				trace, body)
			select lane, seq, state, level, sticky, v_now, time, accepted, problem, id, trace,
				e_body[event]
			from copy where outcome = 0
		), add_problems as (
			-- without time: what finds its lane full does not make late what is pending
			insert into problems as p (problem, lane, pending, recoveries, dead, last, at, changed)
			select problem, lane, (outcome = 0)::integer, (outcome = 0 and state = 2)::integer,
				(outcome = 4)::integer, case when outcome = 4 and state <> 0 then seq else 0 end,
				case when outcome = 4 then accepted end, case when outcome = 4 then v_now else 0 end
			from copy where outcome in (0, 4) order by problem, lane
			on conflict (problem, lane) do update set
				pending = p.pending + excluded.pending,
				recoveries = p.recoveries + excluded.recoveries,
				dead = p.dead + excluded.dead,
				last = greatest(p.last, excluded.last),
				at = coalesce(excluded.at, p.at),
				changed = greatest(p.changed, excluded.changed)
		), count_lanes as (
			update lanes l set seq = l.seq + c.n, ended = l.ended + c.n - c.pending,
				pending = l.pending + c.pending, dead = l.dead + c.dead, bytes = l.bytes + c.bytes
			from (
				select lane, count(*) as n, count(*) filter (where outcome = 0) as pending,
					count(*) filter (where outcome = 4) as dead,
					coalesce(sum(e_size[event]) filter (where outcome = 0), 0) as bytes
				from copy group by lane
			) c where l.id = c.lane
		), remember as materialized (
			select f.source_id, f.hash,
				f.source_n + row_number() over (partition by f.source_id order by f.event) as n
			from fresh f
			where f.hash is not null and exists (select from copy c where c.event = f.event)
		), add_seen as (
			insert into seen (source, hash, n) select source_id, hash, n from remember
			on conflict (source, hash) do update set n = excluded.n
		), count_sources as (
			update sources s set n = c.n
			from (select source_id, max(n) as n from remember group by source_id) c
			where s.id = c.source_id
		)
		select array_agg(row(x.event, x.name, x.lane, x.seq, x.sticky, x.outcome, x.pos)::placed
				order by x.event, x.sticky, x.pos, x.present collate "C"),
			bool_or(x.outcome = 0), bool_or(x.outcome <> 0)
		into v_round, v_pending, v_ended
		from (
			select c.event, c.name, c.lane, c.seq, c.sticky, c.outcome, c.pos,
				case when c.sticky then (select l.name from lanes l where l.id = c.lane) end as present
			from copy c
			union all
			select ev.event, null, 0, 0, false, 0, 0, null from ev
			where not exists (select from fresh f where f.event = ev.event)
		) x;
		if v_ended then -- some have ended at once: ignored, or dead as the lane is full
			insert into history (lane, n, seq, state, level, failed, begun, sticky, kept, time,
				accepted, problem, id, trace, outcome, reason, at)
			select c.lane, l.ended + 1 - row_number() over (partition by c.lane order by c.seq desc),
				c.seq, e_state[c.event], e_level[c.event], 0, false, c.sticky, v_now,
				e_time[c.event], e_accepted[c.event], e_problem[c.event], e_id[c.event],
				e_trace[c.event], c.outcome, coalesce(o_ignored[c.pos], 'lane full'),
				e_accepted[c.event]
			from unnest(v_round) c join lanes l on l.id = c.lane where c.outcome <> 0;
			insert into dead (lane, seq, state, level, failed, begun, sticky, kept, time, accepted,
				problem, id, trace, reason, at, ended, body)
			select c.lane, c.seq, e_state[c.event], e_level[c.event], 0, false, c.sticky, v_now,
				e_time[c.event], e_accepted[c.event], e_problem[c.event], e_id[c.event],
				e_trace[c.event], 'lane full', e_accepted[c.event], v_now, e_body[c.event]
			from unnest(v_round) c where c.outcome = 4;
		end if;
		v_added := v_added or coalesce(v_pending, false);
		v_all := v_all || coalesce(v_round, '{}');
	end loop;

	if v_added then
		select sum(l.pending), sum(l.bytes) into v_sum, v_bytes from lanes l;
		if v_sum > p_max or v_bytes > p_max_bytes then
			raise exception using errcode = 'RL001', message = format(
				'%s entries and %s bytes would be pending', v_sum, v_bytes);
		end if;
	end if;

	if c_nonce is not null then
		insert into nonces (nonce, kept, events, lanes, seqs, sticky, outcomes)
		select b.nonce, v_now, coalesce(r.events, '{}'), coalesce(r.names, '{}'),
			coalesce(r.seqs, '{}'), coalesce(r.sticky, '{}'), coalesce(r.outcomes, '{}')
		from unnest(c_nonce) with ordinality b(nonce, ord)
		left join (
			select e_batch[p.event] as batch, array_agg(e_index[p.event] order by p.o) as events,
				array_agg(p.name order by p.o) as names, array_agg(p.seq order by p.o) as seqs,
				array_agg(p.sticky order by p.o) as sticky,
				array_agg(p.outcome order by p.o) as outcomes
			from unnest(v_all) with ordinality
				as p(event, name, lane, seq, sticky, outcome, pos, o)
			group by 1
		) r on r.batch = b.ord
		where b.nonce is not null and b.ord <> all(v_known);
	end if;

	select out_batch || array_agg(e_batch[p.event] order by p.o),
		out_event || array_agg(e_index[p.event] order by p.o),
		out_name || array_agg(p.name order by p.o), out_lane || array_agg(p.lane order by p.o),
		out_seq || array_agg(p.seq order by p.o), out_sticky || array_agg(p.sticky order by p.o),
		out_outcome || array_agg(p.outcome order by p.o)
	into out_batch, out_event, out_name, out_lane, out_seq, out_sticky, out_outcome
	from unnest(v_all) with ordinality as p(event, name, lane, seq, sticky, outcome, pos, o);
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
