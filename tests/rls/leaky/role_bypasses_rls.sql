-- What: BYPASSRLS, given to the application's role so that a migration could run.
-- Class: role_bypasses_rls
-- Object: bypass_web
-- Exploit: SELECT.
-- App: bypass_web
-- Roles: bypass_web
-- @superuser
create role bypass_web login bypassrls;
-- @schema
create table items (id bigint generated always as identity primary key, tenant_id uuid not null, body text not null);
alter table items enable row level security;
alter table items force row level security;
create policy tenant on items using (tenant_id::text = current_setting('app.tenant_id', true));
grant select, insert, update, delete on items to bypass_web;
-- @rows
insert into items (tenant_id, body) values (:'A', 'A-row'), (:'B', 'B-secret');
-- @fix
alter role bypass_web nobypassrls;
-- @control
select from items where tenant_id = :'A';
-- @exploit
select body from items where body = 'B-secret';
