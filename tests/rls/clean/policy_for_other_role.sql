-- What: USING (true) for the platform's own role, in which the application is no member.
-- Exploit: SELECT, and SET ROLE.
-- Roles: other_role_platform
-- @superuser
create role other_role_platform;
-- @schema
create table items (id bigint generated always as identity primary key, tenant_id uuid not null, body text not null);
alter table items enable row level security;
alter table items force row level security;
create policy tenant on items to app_user using (tenant_id::text = current_setting('app.tenant_id', true));
create policy platform on items to other_role_platform using (true);
grant select, insert, update, delete on items to app_user, other_role_platform;
-- @rows
insert into items (tenant_id, body) values (:'A', 'A-row'), (:'B', 'B-secret');
-- @control
select from items where tenant_id = :'A';
-- @attack
set role other_role_platform;
select body from items where body = 'B-secret';
