-- What: current_tenant() is declared IMMUTABLE "for speed": a cached plan holds the tenant for whom it was made.
-- Class: context_function_cached
-- Object: public.orders | public.current_tenant()
-- Exploit: On a pooled connection tenant A runs the statement that was prepared for tenant B.
-- @schema
create function current_tenant() returns uuid language sql immutable
  as $$ select nullif(current_setting('app.tenant_id', true), '')::pg_catalog.uuid $$;
create table orders (id bigint generated always as identity primary key, tenant_id uuid not null, body text not null);
alter table orders enable row level security;
alter table orders force row level security;
create policy tenant on orders using (tenant_id = current_tenant());
grant select, insert, update, delete on orders to app_user;
-- @rows
insert into orders (tenant_id, body) values (:'A', 'A-row'), (:'B', 'B-secret');
-- @fix
create or replace function current_tenant() returns uuid language sql stable
  as $$ select nullif(current_setting('app.tenant_id', true), '')::pg_catalog.uuid $$;
-- @control
select from orders where tenant_id = :'A';
-- @pooled
prepare secrets as select body from orders where body like '%secret%';
execute secrets;
-- @exploit
execute secrets;
