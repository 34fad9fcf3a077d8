-- What: The application logs in as a superuser, as the container's first user is one.
-- Class: role_bypasses_rls
-- Object: super_web
-- Exploit: SELECT.
-- Source: POSTGRES_USER of the official image
-- App: super_web
-- Roles: super_web
-- @superuser
create role super_web login superuser;
-- @schema
create table items (id bigint generated always as identity primary key, tenant_id uuid not null, body text not null);
alter table items enable row level security;
alter table items force row level security;
create policy tenant on items using (tenant_id::text = current_setting('app.tenant_id', true));
grant select, insert, update, delete on items to super_web;
-- @rows
insert into items (tenant_id, body) values (:'A', 'A-row'), (:'B', 'B-secret');
-- @fix
alter role super_web nosuperuser;
-- @control
select from items where tenant_id = :'A';
-- @exploit
select body from items where body = 'B-secret';
