-- What: current_user = 'support' holds for nobody who logs in, and for the application as soon as it says SET ROLE.
-- Class: policy_user_test
-- Object: public.tickets
-- Exploit: SET ROLE, then SELECT.
-- App: user_set_role_web
-- Roles: user_set_role_web user_set_role_support
-- @superuser
create role user_set_role_support;
create role user_set_role_web login noinherit in role user_set_role_support;
-- @schema
create table tickets (id bigint generated always as identity primary key, tenant_id uuid not null, body text not null);
alter table tickets enable row level security;
alter table tickets force row level security;
create policy tenant on tickets using (tenant_id::text = current_setting('app.tenant_id', true) or current_user = 'user_set_role_support');
grant select, insert, update, delete on tickets to user_set_role_web, user_set_role_support;
-- @rows
insert into tickets (tenant_id, body) values (:'A', 'A-row'), (:'B', 'B-secret');
-- @fix
revoke user_set_role_support from user_set_role_web;
-- @control
select from tickets where tenant_id = :'A';
-- @exploit
set role user_set_role_support;
select body from tickets where body = 'B-secret';
