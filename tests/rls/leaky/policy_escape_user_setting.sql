-- What: The policy finds the tenant through another setting, the user's id, which the session may choose as well.
-- Class: policy_escape_setting
-- Object: public.timesheets
-- Exploit: set app.user_id to a user of tenant B.
-- Session: app.user_id = {id}
-- Config: fixtures = { ["public.users"] = "insert into public.users (id, tenant_id) values ({tenant}, {tenant})" }
-- @schema
create table users (id uuid primary key, tenant_id uuid not null);
create table timesheets (id bigint generated always as identity primary key, tenant_id uuid not null, body text not null);
alter table users enable row level security;
alter table users force row level security;
create policy self on users for select using (id = nullif(current_setting('app.user_id', true), '')::uuid);
alter table timesheets enable row level security;
alter table timesheets force row level security;
create policy member on timesheets using (tenant_id = (select u.tenant_id from users u
  where u.id = nullif(current_setting('app.user_id', true), '')::uuid));
grant select on users to app_user;
grant select, insert, update, delete on timesheets to app_user;
-- @rows
insert into users values (:'A', :'A'), (:'B', :'B');
insert into timesheets (tenant_id, body) values (:'A', 'A-row'), (:'B', 'B-secret');
-- @fix
alter policy self on users using (tenant_id = nullif(current_setting('app.tenant_id', true), '')::uuid);
alter policy member on timesheets using (tenant_id = nullif(current_setting('app.tenant_id', true), '')::uuid);
-- @control
select from timesheets where tenant_id = :'A';
-- @exploit
set app.user_id = :'B';
select body from timesheets where body = 'B-secret';
