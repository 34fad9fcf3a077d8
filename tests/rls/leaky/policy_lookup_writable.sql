-- What: Access goes by a membership table, into which the application may write any row.
-- Class: policy_lookup_writable
-- Object: public.boards | public.memberships
-- Exploit: INSERT the own user into tenant B's members.
-- Setting: app.user_id
-- Config: fixtures = { ["public.memberships"] = "insert into public.memberships (user_id, tenant_id) values ({tenant}, {tenant})" }
-- @schema
create table memberships (user_id uuid not null, tenant_id uuid not null, primary key (user_id, tenant_id));
create table boards (id bigint generated always as identity primary key, tenant_id uuid not null, body text not null);
alter table boards enable row level security;
alter table boards force row level security;
create policy member on boards using (exists (select from memberships m where m.tenant_id = boards.tenant_id
  and m.user_id = nullif(current_setting('app.user_id', true), '')::uuid));
alter table memberships enable row level security;
alter table memberships force row level security;
create policy r on memberships for select using (user_id = nullif(current_setting('app.user_id', true), '')::uuid);
create policy c on memberships for insert with check (true);
grant select, insert on memberships to app_user;
grant select, insert, update, delete on boards to app_user;
-- @rows
insert into memberships values (:'A', :'A'), (:'B', :'B');
insert into boards (tenant_id, body) values (:'A', 'A-row'), (:'B', 'B-secret');
-- @fix
drop policy c on memberships;
revoke insert on memberships from app_user;
-- @control
select from boards where tenant_id = :'A';
-- @exploit
insert into memberships values (:'A', :'B');
select body from boards where body = 'B-secret';
