-- What: Policies stand on the partitioned table. A partition that is named itself is another table, and was granted with the rest.
-- Class: partition_open|rls_missing
-- Object: public.events_2024
-- Exploit: SELECT from the partition; COPY does as well.
-- @schema
create table events (tenant_id uuid not null, at date not null, body text not null) partition by range (at);
create table events_2024 partition of events for values from ('2024-01-01') to ('2025-01-01');
create table events_2025 partition of events for values from ('2025-01-01') to ('2026-01-01');
alter table events enable row level security;
alter table events force row level security;
create policy tenant on events using (tenant_id::text = current_setting('app.tenant_id', true));
alter table events_2025 enable row level security;
alter table events_2025 force row level security;
create policy tenant on events_2025 using (tenant_id::text = current_setting('app.tenant_id', true));
grant select, insert, update, delete on all tables in schema public to app_user;
-- @rows
insert into events values (:'A', '2024-05-01', 'A-row'), (:'B', '2024-05-01', 'B-secret');
-- @fix
revoke all on events_2024 from app_user;
-- @control
select from events where tenant_id = :'A';
-- @copy
copy events_2024 to stdout;
