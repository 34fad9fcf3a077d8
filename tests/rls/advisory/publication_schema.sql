-- What: A publication for all tables in a schema sends those of tenants.
-- Class: publication_exposes
-- Object: public.items
-- Exploit: Subscribe.
-- Since: 15
-- @schema
create table items (id bigint generated always as identity primary key, tenant_id uuid not null, body text not null);
alter table items enable row level security;
alter table items force row level security;
create policy tenant on items using (tenant_id::text = current_setting('app.tenant_id', true));
grant select, insert, update, delete on items to app_user;
-- @superuser
create publication p for tables in schema public;
-- @rows
insert into items (tenant_id, body) values (:'A', 'A-row'), (:'B', 'B-secret');
-- @control
select from items where tenant_id = :'A';
-- @exploit
select 1 from pg_publication_tables where tablename = 'items';
