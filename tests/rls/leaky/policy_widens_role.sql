-- What: A policy for the support team's role lets it read everything; the application inherits that role.
-- Class: policy_widens|policy_always_true
-- Object: public.chats
-- Exploit: SELECT as the application.
-- App: widens_role_web
-- Roles: widens_role_web widens_role_support
-- @superuser
create role widens_role_support;
create role widens_role_web login in role widens_role_support;
-- @schema
create table chats (id bigint generated always as identity primary key, tenant_id uuid not null, body text not null);
alter table chats enable row level security;
alter table chats force row level security;
create policy tenant on chats to widens_role_web using (tenant_id::text = current_setting('app.tenant_id', true));
create policy support on chats for select to widens_role_support using (true);
grant select, insert, update, delete on chats to widens_role_web;
grant select on chats to widens_role_support;
-- @rows
insert into chats (tenant_id, body) values (:'A', 'A-row'), (:'B', 'B-secret');
-- @fix
revoke widens_role_support from widens_role_web;
-- @control
select from chats where tenant_id = :'A';
-- @exploit
select body from chats where body = 'B-secret';
