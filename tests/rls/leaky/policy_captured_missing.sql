-- What: users has no tenant_id, it is called org_id there: the name in the subquery means the row itself, which is always in the list.
-- Class: policy_captured_column
-- Object: public.folders
-- Exploit: SELECT while the subquery finds any user.
-- Config: tenant_scoped = { "public.users" }, fixtures = { ["public.users"] = "insert into public.users (org_id, name)
--     values ({tenant}, 'x')" }
-- @schema
create table users (id bigint generated always as identity primary key, org_id uuid not null, name text not null);
create table folders (id bigint generated always as identity primary key, tenant_id uuid not null, name text not null);
alter table users enable row level security;
alter table users force row level security;
create policy org on users for select using (org_id::text = current_setting('app.tenant_id', true));
alter table folders enable row level security;
alter table folders force row level security;
create policy org on folders using (tenant_id in (select tenant_id from users));
grant select on users to app_user;
grant select, insert, update, delete on folders to app_user;
-- @rows
insert into users (org_id, name) values (:'A', 'A-user'), (:'B', 'B-user');
insert into folders (tenant_id, name) values (:'A', 'A-row'), (:'B', 'B-secret');
-- @fix
alter policy org on folders using (tenant_id in (select u.org_id from users u));
-- @control
select from folders where tenant_id = :'A';
-- @exploit
select name from folders where name = 'B-secret';
