-- What: The application's role is a member of pg_monitor, for a dashboard of its own.
-- Class: role_watches_sessions
-- Object: watching_web
-- Severity: advisory
-- App: watching_web
-- Roles: watching_web
-- Exploit: pg_stat_activity shows the statements of other roles' sessions.
-- @superuser
create role watching_web login;
-- @schema
create table items (id bigint generated always as identity primary key, tenant_id uuid not null, body text not null);
alter table items enable row level security;
alter table items force row level security;
create policy tenant on items using (tenant_id::text = current_setting('app.tenant_id', true));
grant select, insert, update, delete on items to watching_web;
-- @superuser
grant pg_monitor to watching_web;
-- @rows
insert into items (tenant_id, body) values (:'A', 'A-row'), (:'B', 'B-secret');
-- @control
select from items where body = 'A-row';
-- @exploit
select from pg_stat_activity where usename <> current_user and query <> '<insufficient privilege>';
