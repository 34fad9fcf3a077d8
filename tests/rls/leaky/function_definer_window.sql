-- What: A function with its owner's rights ranks all orders and tests the tenant around that.
-- Class: function_definer
-- Object: public.orders_before()
-- Exploit: SELECT from the function with tenant A.
-- @schema
create table orders (id bigint generated always as identity primary key, tenant_id uuid not null, status text not null, body text not null);
alter table orders enable row level security;
create policy tenant on orders using (tenant_id::text = current_setting('app.tenant_id', true));
grant select, insert, update, delete on orders to app_user;
create function orders_before() returns table (id bigint, before text) language sql security definer
  set search_path = pg_catalog, public, pg_temp as $$
  with ranked as (select o.id, o.tenant_id, first_value(o.body) over (order by o.id) as before from public.orders o)
  select r.id, r.before from ranked r where r.tenant_id::text = current_setting('app.tenant_id', true) $$;
-- @rows
insert into orders (tenant_id, status, body) values (:'B', 'open', 'B-secret'), (:'A', 'open', 'A-row');
-- @fix
create or replace function orders_before() returns table (id bigint, before text) language sql security definer
  set search_path = pg_catalog, public, pg_temp as $$
  with ranked as (select o.id, o.tenant_id, first_value(o.body) over (partition by o.tenant_id order by o.id) as before from public.orders o)
  select r.id, r.before from ranked r where r.tenant_id::text = current_setting('app.tenant_id', true) $$;
-- @control
select from orders_before();
-- @exploit
select before from orders_before() where before like '%B-secret%';
