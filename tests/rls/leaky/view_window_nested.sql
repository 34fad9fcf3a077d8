-- What: A view of averages over all orders, for nobody but a second view, which tests the tenant: the average is everybody's.
-- Class: view_owner_rights
-- Object: public.orders_mine
-- Exploit: SELECT from the second view with tenant A.
-- @schema
create table orders (id bigint generated always as identity primary key, tenant_id uuid not null, status text not null, body text not null);
alter table orders enable row level security;
create policy tenant on orders using (tenant_id::text = current_setting('app.tenant_id', true));
grant select, insert, update, delete on orders to app_user;
create view orders_all as select id, tenant_id, string_agg(body, ',') over () as bodies from orders;
create view orders_mine with (security_barrier) as select id, bodies from orders_all
  where tenant_id::text = current_setting('app.tenant_id', true);
grant select on orders_mine to app_user;
-- @rows
insert into orders (tenant_id, status, body) values (:'B', 'open', 'B-secret'), (:'A', 'open', 'A-row');
-- @fix
create or replace view orders_all as select id, tenant_id, string_agg(body, ',') over (partition by tenant_id) as bodies from orders;
-- @control
select from orders_mine;
-- @exploit
select bodies from orders_mine where bodies like '%B-secret%';
