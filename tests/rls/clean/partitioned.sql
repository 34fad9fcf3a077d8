-- What: A partitioned table; its partitions are nobody's to name, one by missing grants, one by policies of its own.
-- Exploit: SELECT from each partition.
-- @schema
create table events (tenant_id uuid not null, at date not null, body text not null) partition by range (at);
create table events_2024 partition of events for values from ('2024-01-01') to ('2025-01-01');
create table events_2025 partition of events for values from ('2025-01-01') to ('2026-01-01') partition by hash (tenant_id);
create table events_2025_0 partition of events_2025 for values with (modulus 2, remainder 0);
create table events_2025_1 partition of events_2025 for values with (modulus 2, remainder 1);
create table events_rest partition of events default;
alter table events enable row level security;
alter table events force row level security;
create policy tenant on events using (tenant_id::text = current_setting('app.tenant_id', true));
alter table events_rest enable row level security;
alter table events_rest force row level security;
create policy tenant on events_rest using (tenant_id::text = current_setting('app.tenant_id', true));
grant select, insert, update, delete on events, events_rest to app_user;
-- @rows
insert into events select t, d, b from (values (:'A'::uuid, 'A-row'), (:'B', 'B-secret')) v(t, b),
  unnest(array['2024-06-01', '2025-06-01', '2030-01-01']::date[]) d;
-- @control
select from events where tenant_id = :'A';
-- @attack
select body from events_2024;
select body from events_2025_0;
select body from events_rest where body = 'B-secret';
