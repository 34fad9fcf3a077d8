-- What: The same role, NOINHERIT: the policy does not apply until the application says SET ROLE.
-- Class: policy_widens|policy_always_true
-- Object: public.chats
-- Exploit: SET ROLE, then SELECT.
-- App: widens_set_role_web
-- Roles: widens_set_role_web widens_set_role_support
-- @superuser
create role widens_set_role_support;
create role widens_set_role_web login noinherit in role widens_set_role_support;
-- @schema
create table chats (id bigint generated always as identity primary key, tenant_id uuid not null, body text not null);
alter table chats enable row level security;
alter table chats force row level security;
create policy tenant on chats to widens_set_role_web using (tenant_id::text = current_setting('app.tenant_id', true));
create policy support on chats for select to widens_set_role_support using (true);
grant select, insert, update, delete on chats to widens_set_role_web;
grant select on chats to widens_set_role_support;
-- @rows
insert into chats (tenant_id, body) values (:'A', 'A-row'), (:'B', 'B-secret');
-- @fix
revoke widens_set_role_support from widens_set_role_web;
-- @control
select from chats where tenant_id = :'A';
-- @exploit
set role widens_set_role_support;
select body from chats where body = 'B-secret';
