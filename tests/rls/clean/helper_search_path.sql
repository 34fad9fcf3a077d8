-- What: The application may make objects in a schema of its own; the policies' helper has a search path of its own, or its text is kept
--   parsed, and the definer's function looks nowhere else.
-- Exploit: Put an own current_setting first on the path.
-- Since: 14
-- @superuser
create function current_tenant() returns text language plpgsql stable set search_path = pg_catalog, pg_temp
  as $$ begin return current_setting('app.tenant_id', true); end $$;
create function parsed_tenant() returns text language sql stable return current_setting('app.tenant_id', true);
create table items (id bigint generated always as identity primary key, tenant_id uuid not null, body text not null);
alter table items enable row level security;
alter table items force row level security;
create policy tenant on items using (tenant_id::text = current_tenant());
create table notes (like items including all);
alter table notes enable row level security;
alter table notes force row level security;
create policy tenant on notes using (tenant_id::text = parsed_tenant());
create function mine() returns setof text language sql stable security definer set search_path = pg_catalog, public, pg_temp
  as $$ select i.body from public.items i where i.tenant_id::text = current_setting('app.tenant_id', true) $$;
grant select, insert, update, delete on items, notes to app_user;
create schema sandbox authorization app_user;
-- @rows
insert into items (tenant_id, body) values (:'A', 'A-row'), (:'B', 'B-secret');
insert into notes (tenant_id, body) values (:'B', 'B-secret');
-- @control
select from items i join mine() m on m = i.body;
-- @attack
create function sandbox.current_setting(text, boolean) returns text language sql
  as $$ select 'bbbbbbbb-0000-4000-8000-000000000002' $$;
set search_path = sandbox, pg_catalog, public;
select from items where body = 'B-secret' union all select from notes where body = 'B-secret'
  union all select from mine() m where m = 'B-secret';
