-- What: The login has the rights of the web role by SET ROLE alone, and that is how it is reached.
-- Class: function_definer
-- Object: public.all_items()
-- Exploit: SET ROLE, then use the right.
-- App: so_function_login
-- Roles: so_function_web so_function_login
-- @superuser
create role so_function_web nologin;
create role so_function_login login noinherit in role so_function_web;
-- @schema
create table items (id bigint generated always as identity primary key, tenant_id uuid not null, body text not null);
alter table items enable row level security;
alter table items force row level security;
create policy tenant on items using (tenant_id::text = current_setting('app.tenant_id', true));
grant select, insert, update, delete on items to so_function_login;
-- @superuser
create function all_items() returns setof text language sql security definer
  set search_path = pg_catalog, pg_temp as $$ select body from public.items $$;
revoke execute on function all_items() from public;
grant execute on function all_items() to so_function_web;
-- @rows
insert into items (tenant_id, body) values (:'A', 'A-row'), (:'B', 'B-secret');
-- @fix
alter function all_items() security invoker;
-- @control
select from items where tenant_id = :'A';
-- @exploit
set role so_function_web;
select * from all_items() t where t = 'B-secret';
