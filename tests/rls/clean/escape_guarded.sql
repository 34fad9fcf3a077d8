-- What: A bypass setting that counts only for members of the platform's role.
-- Exploit: set app.bypass = 'on'.
-- Roles: escape_guarded_platform
-- @superuser
create role escape_guarded_platform;
-- @schema
create table items (id bigint generated always as identity primary key, tenant_id uuid not null, body text not null);
alter table items enable row level security;
alter table items force row level security;
create policy tenant on items using (tenant_id::text = current_setting('app.tenant_id', true)
  or (current_setting('app.bypass', true) = 'on' and pg_has_role(session_user, 'escape_guarded_platform', 'member')));
grant select, insert, update, delete on items to app_user;
-- @rows
insert into items (tenant_id, body) values (:'A', 'A-row'), (:'B', 'B-secret');
-- @control
select from items where tenant_id = :'A';
-- @attack
set app.bypass = 'on';
select from items where body = 'B-secret';
