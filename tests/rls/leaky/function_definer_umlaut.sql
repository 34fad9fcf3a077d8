-- What: A table whose name begins with a letter that is not ASCII.
-- Class: function_definer
-- Object: public.liste()
-- Exploit: Call the function as tenant A.
-- @superuser
create table "überweisungen" (id bigint generated always as identity primary key, tenant_id uuid not null, body text not null);
alter table "überweisungen" enable row level security;
alter table "überweisungen" force row level security;
create policy tenant on "überweisungen" using (tenant_id::text = current_setting('app.tenant_id', true));
grant select, insert, update, delete on "überweisungen" to app_user;
create function liste() returns setof text language sql stable security definer set search_path = pg_catalog, pg_temp
  as $$ select body from public."überweisungen" $$;
-- @rows
insert into "überweisungen" (tenant_id, body) values (:'A', 'A-row'), (:'B', 'B-secret');
-- @fix
alter function liste() security invoker;
-- @control
select from "überweisungen" where tenant_id = :'A';
-- @exploit
select * from liste() t where t = 'B-secret';
