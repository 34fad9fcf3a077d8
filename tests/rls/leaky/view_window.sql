-- What: A view shows the number before each order and tests the tenant around the window function: the neighbour is anybody's.
-- Class: view_owner_rights
-- Object: public.orders_before
-- Exploit: SELECT from the view with tenant A.
-- @schema
create table orders (id bigint generated always as identity primary key, tenant_id uuid not null, status text not null, body text not null);
alter table orders enable row level security;
create policy tenant on orders using (tenant_id::text = current_setting('app.tenant_id', true));
grant select, insert, update, delete on orders to app_user;
create view orders_before with (security_barrier) as select id, before from (
  select id, tenant_id, lag(body) over (order by id) as before from orders) s
  where tenant_id::text = current_setting('app.tenant_id', true);
grant select on orders_before to app_user;
-- @rows
insert into orders (tenant_id, status, body) values (:'B', 'open', 'B-secret'), (:'A', 'open', 'A-row');
-- @fix
create or replace view orders_before with (security_barrier) as select id, before from (
  select id, tenant_id, lag(body) over (partition by tenant_id order by id) as before from orders) s
  where tenant_id::text = current_setting('app.tenant_id', true);
-- @control
select from orders_before;
-- @exploit
select before from orders_before where before like '%B-secret%';
