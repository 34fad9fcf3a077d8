-- What: Two memberships away, without inheritance, is a role with BYPASSRLS.
-- Class: role_bypasses_rls
-- Object: set_bypass_web
-- Exploit: SET ROLE.
-- App: set_bypass_web
-- Roles: set_bypass_web set_bypass_ops set_bypass_admin
-- @superuser
create role set_bypass_admin bypassrls;
create role set_bypass_ops in role set_bypass_admin;
create role set_bypass_web login noinherit in role set_bypass_ops;
-- @schema
create table items (id bigint generated always as identity primary key, tenant_id uuid not null, body text not null);
alter table items enable row level security;
alter table items force row level security;
create policy tenant on items using (tenant_id::text = current_setting('app.tenant_id', true));
grant select, insert, update, delete on items to set_bypass_web, set_bypass_admin;
-- @rows
insert into items (tenant_id, body) values (:'A', 'A-row'), (:'B', 'B-secret');
-- @fix
revoke set_bypass_ops from set_bypass_web;
-- @control
select from items where tenant_id = :'A';
-- @exploit
set role set_bypass_admin;
select body from items where body = 'B-secret';
