-- What: SECURITY DEFINER, to get around a recursive policy; the function lists all rows and everybody may call it.
-- Class: function_definer
-- Object: public.list_members()
-- Exploit: Call it.
-- @superuser
create table members (id bigint generated always as identity primary key, tenant_id uuid not null, email text not null);
alter table members enable row level security;
alter table members force row level security;
create policy tenant on members using (tenant_id::text = current_setting('app.tenant_id', true));
create function list_members() returns setof members language sql stable security definer set search_path = pg_catalog, public, pg_temp
  as $$ select * from public.members $$;
grant select, insert, update, delete on members to app_user;
-- @rows
insert into members (tenant_id, email) values (:'A', 'A-row'), (:'B', 'B-secret');
-- @fix
alter function list_members() security invoker;
-- @control
select from list_members() where email = 'A-row';
-- @exploit
select email from list_members() where email = 'B-secret';
