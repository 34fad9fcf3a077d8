-- What: The members are not the application's to write, and a view over them is, which writes as its owner.
-- Class: policy_lookup_writable|view_owner_rights
-- Object: public.boards | public.team
-- Exploit: INSERT oneself as a member of B through the view.
-- Setting: app.user_id
-- FixSince: 15
-- Config: fixtures = { ["public.memberships"] = "insert into public.memberships (user_id, org_id) values ({tenant}, {tenant})" }
-- @schema
create table memberships (user_id uuid not null, org_id uuid not null, role text not null default 'member', primary key (user_id, org_id));
create table boards (id bigint generated always as identity primary key, tenant_id uuid not null, body text not null);
alter table boards enable row level security;
alter table boards force row level security;
create policy member on boards using (exists (select from memberships m where m.org_id = boards.tenant_id
  and m.user_id = nullif(current_setting('app.user_id', true), '')::uuid));
alter table memberships enable row level security;
alter table memberships force row level security;
create policy r on memberships for select using (user_id = nullif(current_setting('app.user_id', true), '')::uuid);
grant select on memberships to app_user;
grant select, insert, update, delete on boards to app_user;
-- @superuser
create view team as select user_id as person, org_id as team, role from memberships;
grant select, insert on team to app_user;
-- @rows
insert into memberships values (:'A', :'A'), (:'B', :'B');
insert into boards (tenant_id, body) values (:'A', 'A-row'), (:'B', 'B-secret');
-- @fix
alter view team set (security_invoker = true);
-- @control
select from boards where tenant_id = :'A';
-- @exploit
insert into team (person, team) values (:'A', :'B');
select body from boards where body = 'B-secret';
