-- What: A reporting role has a policy of its own, and owns a definer function.
-- Class: function_definer
-- Object: public.report()
-- Exploit: Read through it as tenant A.
-- Roles: reporter
-- @schema
create table items (id bigint generated always as identity primary key, tenant_id uuid not null, body text not null);
alter table items enable row level security;
alter table items force row level security;
create policy tenant on items using (tenant_id::text = current_setting('app.tenant_id', true));
grant select, insert, update, delete on items to app_user;
-- @superuser
create role reporter nologin;
grant select on items to reporter;
create policy reporting on items for select to reporter using (true);
create function report() returns setof text language sql stable security definer set search_path = pg_catalog, pg_temp
  as $$ select body from public.items $$;
alter function report() owner to reporter;
-- @rows
insert into items (tenant_id, body) values (:'A', 'A-row'), (:'B', 'B-secret');
-- @fix
alter function report() security invoker;
-- @control
select from items where tenant_id = :'A';
-- @exploit
select * from report() t where t = 'B-secret';
