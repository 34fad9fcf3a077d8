-- What: A job that may VACUUM, ANALYZE, REINDEX and LOCK the tenants' tables, under the application's login: MAINTAIN reads and writes no row.
-- Exploit: Whatever MAINTAIN allows, and then to read.
-- Since: 17
-- @schema
create table items (id bigint generated always as identity primary key, tenant_id uuid not null, body text not null);
alter table items enable row level security;
alter table items force row level security;
create policy tenant on items using (tenant_id::text = current_setting('app.tenant_id', true));
grant select, insert, update, delete, maintain on items to app_user;
-- @rows
insert into items (tenant_id, body) values (:'A', 'A-row'), (:'B', 'B-secret');
-- @control
select from items where tenant_id = :'A';
-- @attack
analyze items;
reindex table items;
select from pg_stats where tablename = 'items' and most_common_vals::text like '%B-secret%';
select body from items where body = 'B-secret';
