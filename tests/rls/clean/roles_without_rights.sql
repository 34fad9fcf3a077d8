-- What: Roles with BYPASSRLS and REPLICATION exist; the application is a member of a harmless one only, and inherits its grants.
-- Exploit: SET ROLE.
-- App: harmless_web
-- Roles: harmless_web harmless_readers harmless_backup
-- @superuser
create role harmless_backup login bypassrls replication;
create role harmless_readers;
create role harmless_web login in role harmless_readers;
-- @schema
create table items (id bigint generated always as identity primary key, tenant_id uuid not null, body text not null);
alter table items enable row level security;
alter table items force row level security;
create policy tenant on items to harmless_readers using (tenant_id::text = current_setting('app.tenant_id', true));
grant select, insert, update, delete on items to harmless_readers;
-- @rows
insert into items (tenant_id, body) values (:'A', 'A-row'), (:'B', 'B-secret');
-- @control
select from items where tenant_id = :'A';
-- @attack
set role harmless_backup;
select body from items where body = 'B-secret';
