-- What: Access goes by a membership table that the application may only read, its own rows of it.
-- Exploit: Become a member; shadow the table.
-- Column: org_id
-- Setting: app.user_id
-- Config: fixtures = { ["public.memberships"] = "insert into public.memberships (org_id, user_id) values ({tenant}, {tenant})" }
-- @schema
create table memberships (org_id uuid not null, user_id uuid not null, primary key (org_id, user_id));
create table boards (id bigint generated always as identity primary key, org_id uuid not null, body text not null);
alter table memberships enable row level security;
alter table memberships force row level security;
create policy own on memberships for select using (user_id = nullif(current_setting('app.user_id', true), '')::uuid);
alter table boards enable row level security;
alter table boards force row level security;
create policy member on boards using (exists (select from memberships m where m.org_id = boards.org_id
  and m.user_id = nullif(current_setting('app.user_id', true), '')::uuid));
grant select on memberships to app_user;
grant select, insert, update, delete on boards to app_user;
-- @rows
insert into memberships values (:'A', :'A'), (:'B', :'B');
insert into boards (org_id, body) values (:'A', 'A-row'), (:'B', 'B-secret');
-- @control
select from boards where org_id = :'A';
-- @attack
insert into memberships values (:'B', :'A');
create temporary table memberships (org_id uuid, user_id uuid);
insert into pg_temp.memberships values (:'B', :'A');
select from boards where body = 'B-secret';
