-- Tables of version 1. Names of the relay's contract are in package store.
--
-- Bytes that come from outside (IDs, problem keys, reasons) are bytea, because text can hold neither
-- a zero byte nor invalid UTF-8. Times of the wall clock are nanoseconds since 1970; null is the zero
-- time. Times named kept, ended, changed, until and seen are those of the store's own clock, in
-- nanoseconds.

-- One row. The store's time is base, and what has passed since at, see store_clock(). A null at
-- means that no node has the store open, and that the time stands still.
-- engine is the engine, or the timeline of it, on which a lease was acquired last; and since, when that
-- was first tried there. 0: it is the first one.
create table clock (
	one boolean primary key default true check (one),
	base   bigint not null,
	at     timestamptz,
	engine text,
	since  bigint not null default 0
);
insert into clock (base) values (1);

-- The processes that have the store open.
create table nodes (
	id   bigint primary key,
	name text not null,
	seen bigint not null
);

-- Each lane. Every write to a lane locks its row first. Several rows are locked by id. The sequence
-- numbers come from the row, and so entries become visible in their order.
create table lanes (
	id      integer generated always as identity primary key,
	name    text not null unique, -- the present one
	seq     bigint not null default 0,
	ended   bigint not null default 0, -- settlements so far
	pending bigint not null default 0,
	bytes   bigint not null default 0, -- of pending entries
	dead    bigint not null default 0,
	token   bigint -- of the lease that owns the lane
) with (fillfactor = 20);

-- Every name of each lane.
create table names (
	name text primary key,
	lane integer not null
);
create index names_lane on names (lane);

-- Pending entries.
create table entries (
	lane     integer,
	seq      bigint,
	state    integer not null,
	level    integer not null,
	failed   integer not null default 0,
	begun    boolean not null default false,
	sticky   boolean not null,
	kept     bigint not null,
	time     bigint,
	accepted bigint,
	problem  bytea not null,
	id       bytea not null,
	trace    bytea not null,
	body     bytea not null,
	primary key (lane, seq)
) with (
	autovacuum_vacuum_scale_factor = 0.05, autovacuum_analyze_scale_factor = 0.05,
	toast_tuple_target = 8160 -- a usual body stays in the row: a second table costs more than it saves
);
alter table entries alter body set storage external; -- nor does compression pay

-- Entries that have ended, without their bodies. n grows by one in each lane.
create table history (
	lane     integer,
	n        bigint,
	seq      bigint not null,
	state    integer not null,
	level    integer not null,
	failed   integer not null,
	begun    boolean not null,
	sticky   boolean not null,
	kept     bigint not null,
	time     bigint,
	accepted bigint,
	problem  bytea not null,
	id       bytea not null,
	trace    bytea not null,
	outcome  integer not null,
	reason   bytea not null,
	at       bigint,
	primary key (lane, n)
);

-- Dead letters.
create table dead (
	lane     integer,
	seq      bigint,
	state    integer not null,
	level    integer not null,
	failed   integer not null,
	begun    boolean not null,
	sticky   boolean not null,
	kept     bigint not null,
	time     bigint,
	accepted bigint,
	problem  bytea not null,
	id       bytea not null,
	trace    bytea not null,
	reason   bytea not null,
	at       bigint,
	ended    bigint not null,
	body     bytea not null,
	primary key (lane, seq)
) with (toast_tuple_target = 8160);
alter table dead alter body set storage external;

-- What a lane has of a problem: counters, and the record.
create table problems (
	problem    bytea,
	lane       integer,
	pending    integer not null default 0,
	recoveries integer not null default 0, -- pending entries of a recovery
	dead       integer not null default 0,
	last       bigint not null default 0,
	seq        bigint not null default 0,
	open       boolean not null default false,
	shown      integer not null default 0,
	doubt      boolean not null default false,
	time       bigint,
	at         bigint,
	changed    bigint not null default 0, -- 0: there is no record
	primary key (problem, lane)
) with (fillfactor = 70);
-- For the list of open problems. It costs a mark nothing but where a problem begins or ends.
create index problems_open on problems (lane, problem) where open;

-- Pauses that operators have set.
create table pauses (
	lane   integer primary key,
	until  bigint not null, -- by the store's clock
	by     bytea not null,
	reason bytea not null,
	at     bigint
) with (fillfactor = 50);

-- The IDs of each source that are remembered: n of the newest one is n of the source.
create table sources (
	id   integer generated always as identity primary key,
	name text not null unique,
	n    bigint not null default 0
) with (fillfactor = 20);
create table seen (
	source integer,
	hash   uuid, -- the first half of the SHA-256 of the ID
	n      bigint not null,
	primary key (source, hash)
);
create index seen_n on seen (source, n);

-- What Append reported, for a caller that repeats it: a row for each placement and each duplicate.
create table nonces (
	nonce   uuid,    -- the first half of the SHA-256 of the nonce
	n       integer, -- the order of the report
	kept    bigint not null,
	event   integer, -- its index in the batch; null: there is nothing to report
	name    text,    -- of the lane; null: the event is a duplicate
	seq     bigint,
	sticky  boolean,
	outcome integer,
	primary key (nonce, n)
);
create index nonces_kept on nonces (kept);

-- Live leases. lanes.token says which lanes a lease has.
create table leases (
	token bigint primary key,
	node  text not null,
	name  text not null, -- of the group
	until bigint not null
) with (fillfactor = 50);
create table figures (
	lane    integer primary key,
	token   bigint not null,
	figures bytea not null,
	seen    bigint not null
) with (fillfactor = 50);

-- Requests to the owner of a lane.
create table requests (
	id     bigint generated always as identity primary key,
	lane   integer not null,
	token  bigint not null,
	kept   bigint not null,
	taken  boolean not null default false,
	body   bytea not null,
	answer bytea
);
create index requests_token on requests (token, id) where not taken;
