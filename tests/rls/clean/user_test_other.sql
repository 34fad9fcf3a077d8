-- What: "OR current_user = …" for the migration role, which the application cannot become.
-- Exploit: SELECT as the application.
-- Roles: user_other_migrator
-- @superuser
create role user_other_migrator login;
-- @schema
create table items (id bigint generated always as identity primary key, tenant_id uuid not null, body text not null);
alter table items enable row level security;
alter table items force row level security;
create policy tenant on items using (tenant_id::text = current_setting('app.tenant_id', true) or current_user = 'user_other_migrator');
grant select, insert, update, delete on items to app_user, user_other_migrator;
-- @rows
insert into items (tenant_id, body) values (:'A', 'A-row'), (:'B', 'B-secret');
-- @control
select from items where tenant_id = :'A';
-- @attack
set role user_other_migrator;
select from items where body = 'B-secret';
