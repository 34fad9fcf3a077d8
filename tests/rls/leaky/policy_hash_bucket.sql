-- What: Rows are filtered by the tenant's shard, for speed: the tenants of one shard see each other.
-- Class: policy_prefix_match|policy_loose_match
-- Object: public.metrics
-- Exploit: SELECT as a tenant of the same shard.
-- A: 11
-- B: 27
-- @schema
create table metrics (id bigint generated always as identity primary key, tenant_id int not null, body text not null);
alter table metrics enable row level security;
alter table metrics force row level security;
create policy shard on metrics using (tenant_id % 16 = nullif(current_setting('app.tenant_id', true), '')::int % 16);
grant select, insert, update, delete on metrics to app_user;
-- @rows
insert into metrics (tenant_id, body) values (:'A', 'A-row'), (:'B', 'B-secret');
-- @fix
alter policy shard on metrics using (tenant_id = nullif(current_setting('app.tenant_id', true), '')::int);
-- @control
select from metrics where tenant_id = :'A';
-- @exploit
select body from metrics where body = 'B-secret';
