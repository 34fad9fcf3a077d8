-- What: The members are written through a view that checks: the caller's own organisation alone.
-- Exploit: None: WITH CHECK OPTION refuses B's organisation.
-- Setting: app.user_id
-- Refused: 44000
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
create view team with (security_barrier = true) as select user_id as person, org_id as team, role from memberships
  where org_id = nullif(current_setting('app.user_id', true), '')::uuid with check option;
grant select, insert on team to app_user;
-- @rows
insert into memberships values (:'A', :'A'), (:'B', :'B');
insert into boards (tenant_id, body) values (:'A', 'A-row'), (:'B', 'B-secret');
-- @control
select from boards where tenant_id = :'A';
-- @attack
insert into team (person, team) values (:'A', :'B');
select body from boards where body = 'B-secret';
