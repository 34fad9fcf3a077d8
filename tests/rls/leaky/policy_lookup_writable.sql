-- What: Access goes by a membership table, into which the application may write any row.
-- Class: policy_lookup_writable
-- Object: public.boards | public.memberships
-- Exploit: INSERT the own user into tenant B's members.
-- Session: app.user_id = 1
-- @schema
create table memberships (user_id int not null, tenant_id uuid not null, primary key (user_id, tenant_id));
create table boards (id bigint generated always as identity primary key, tenant_id uuid not null, body text not null);
alter table boards enable row level security;
alter table boards force row level security;
create policy member on boards using (exists (select from memberships m where m.tenant_id = boards.tenant_id
  and m.user_id = nullif(current_setting('app.user_id', true), '')::int));
alter table memberships enable row level security;
alter table memberships force row level security;
create policy r on memberships for select using (user_id = nullif(current_setting('app.user_id', true), '')::int);
create policy c on memberships for insert with check (true);
grant select, insert on memberships to app_user;
grant select, insert, update, delete on boards to app_user;
-- @rows
insert into memberships values (1, :'A'), (2, :'B');
insert into boards (tenant_id, body) values (:'A', 'A-row'), (:'B', 'B-secret');
-- @fix
drop policy c on memberships;
alter policy r on memberships using (tenant_id::text = current_setting('app.tenant_id', true));
alter policy member on boards using (tenant_id in (select m.tenant_id from memberships m where m.tenant_id::text = current_setting('app.tenant_id', true)));
-- @control
select from boards where tenant_id = :'A';
-- @exploit
insert into memberships values (1, :'B');
select body from boards where body = 'B-secret';
