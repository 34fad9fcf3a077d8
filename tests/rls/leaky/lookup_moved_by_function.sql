-- What: A procedure with its owner's rights moves the caller's membership to another organisation, "switch organisation".
-- Class: policy_lookup_writable|function_definer
-- Object: public.boards | public.switch_org
-- Exploit: Call it with B's organisation.
-- Setting: app.user_id
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
create procedure switch_org(org uuid) language sql security definer set search_path = public, pg_temp as $$
  update memberships set org_id = org where user_id = nullif(current_setting('app.user_id', true), '')::uuid $$;
-- @rows
insert into memberships values (:'A', :'A'), (:'B', :'B');
insert into boards (tenant_id, body) values (:'A', 'A-row'), (:'B', 'B-secret');
-- @fix
revoke execute on procedure switch_org(uuid) from public;
-- @control
select from boards where tenant_id = :'A';
-- @exploit
call switch_org(:'B');
select body from boards where body = 'B-secret';
