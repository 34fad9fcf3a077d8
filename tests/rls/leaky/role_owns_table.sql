-- What: One DATABASE_URL for migrations and requests: the application owns its tables. FORCE binds it, until it says otherwise.
-- Class: role_owns_table
-- Object: owns_table_web | public.projects
-- Exploit: ALTER TABLE … NO FORCE ROW LEVEL SECURITY.
-- Source: the default of Rails, Django and Prisma: one user owns and serves
-- App: owns_table_web
-- Roles: owns_table_web
-- @superuser
create role owns_table_web login;
grant create on schema public to owns_table_web;
set role owns_table_web;
create table projects (id bigint generated always as identity primary key, tenant_id uuid not null, name text not null);
alter table projects enable row level security;
alter table projects force row level security;
create policy tenant on projects using (tenant_id::text = current_setting('app.tenant_id', true));
-- @rows
insert into projects (tenant_id, name) values (:'A', 'A-row'), (:'B', 'B-secret');
-- @fix
alter table projects owner to app_owner;
revoke all on schema public from owns_table_web;
grant select, insert, update, delete on projects to owns_table_web;
-- @control
select from projects where tenant_id = :'A';
-- @exploit
alter table projects no force row level security;
select name from projects where name = 'B-secret';
