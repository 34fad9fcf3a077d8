-- What: A body that names its table by Unicode escapes.
-- Class: function_definer
-- Object: public.liste()
-- Exploit: Call the function as tenant A.
-- @schema
create table items (id bigint generated always as identity primary key, tenant_id uuid not null, body text not null);
alter table items enable row level security;
alter table items force row level security;
create policy tenant on items using (tenant_id::text = current_setting('app.tenant_id', true));
grant select, insert, update, delete on items to app_user;
-- @superuser
create function liste() returns setof text language sql stable security definer set search_path = pg_catalog, pg_temp
  as $$ select body from public.U&"\0069tems" $$;
-- @rows
insert into items (tenant_id, body) values (:'A', 'A-row'), (:'B', 'B-secret');
-- @fix
alter function liste() security invoker;
-- @control
select from items where tenant_id = :'A';
-- @exploit
select * from liste() t where t = 'B-secret';
