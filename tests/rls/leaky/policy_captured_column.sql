-- What: Inside the subquery tenant_id means the subquery's own column: m.tenant_id = tenant_id is always true.
-- Class: policy_captured_column
-- Object: public.reports
-- Exploit: SELECT as any user who is a member of anything.
-- Session: app.user_id = 1
-- Config: fixtures = { ["public.memberships"] = "insert into public.memberships (user_id, tenant_id) values (1, {tenant})" }
-- @schema
create table memberships (user_id int not null, tenant_id uuid not null, primary key (user_id, tenant_id));
create table reports (id bigint generated always as identity primary key, tenant_id uuid not null, body text not null);
alter table memberships enable row level security;
alter table memberships force row level security;
create policy tenant on memberships for select using (tenant_id::text = current_setting('app.tenant_id', true));
alter table reports enable row level security;
alter table reports force row level security;
create policy member on reports using (exists (select from memberships m where m.tenant_id = tenant_id
  and m.user_id = nullif(current_setting('app.user_id', true), '')::int));
grant select on memberships to app_user;
grant select, insert, update, delete on reports to app_user;
-- @rows
insert into memberships values (1, :'A'), (2, :'B');
insert into reports (tenant_id, body) values (:'A', 'A-row'), (:'B', 'B-secret');
-- @fix
alter policy member on reports using (exists (select from memberships m where m.tenant_id = reports.tenant_id
  and m.user_id = nullif(current_setting('app.user_id', true), '')::int));
-- @control
select from reports where tenant_id = :'A';
-- @exploit
select body from reports where body = 'B-secret';
