-- What: A table whose name holds quotes and percent signs.
-- Class: function_definer
-- Object: public.liste()
-- Exploit: Call the function as tenant A.
-- @superuser
create table "100%s ""odd"" %d" (id bigint generated always as identity primary key, tenant_id uuid not null, body text not null);
alter table "100%s ""odd"" %d" enable row level security;
alter table "100%s ""odd"" %d" force row level security;
create policy tenant on "100%s ""odd"" %d" using (tenant_id::text = current_setting('app.tenant_id', true));
grant select, insert, update, delete on "100%s ""odd"" %d" to app_user;
create function liste() returns setof text language sql stable security definer set search_path = pg_catalog, pg_temp
  as $$ select body from public."100%s ""odd"" %d" $$;
-- @rows
insert into "100%s ""odd"" %d" (tenant_id, body) values (:'A', 'A-row'), (:'B', 'B-secret');
-- @fix
alter function liste() security invoker;
-- @control
select from "100%s ""odd"" %d" where tenant_id = :'A';
-- @exploit
select * from liste() t where t = 'B-secret';
