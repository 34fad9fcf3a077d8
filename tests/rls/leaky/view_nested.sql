-- What: The view the application reads has security_invoker; the one beneath it has not.
-- Class: view_owner_rights
-- Object: public.dashboard | public.all_orders
-- Exploit: SELECT from the outer view.
-- Since: 15
-- @superuser
create table orders (id bigint generated always as identity primary key, tenant_id uuid not null, memo text not null);
alter table orders enable row level security;
alter table orders force row level security;
create policy tenant on orders using (tenant_id::text = current_setting('app.tenant_id', true));
create view all_orders as select id, memo from orders;
create view dashboard with (security_invoker = true) as select memo from all_orders;
grant select, insert, update, delete on orders to app_user;
grant select on all_orders, dashboard to app_user;
-- @rows
insert into orders (tenant_id, memo) values (:'A', 'A-row'), (:'B', 'B-secret');
-- @fix
alter view all_orders set (security_invoker = true);
-- @control
select from dashboard where memo = 'A-row';
-- @exploit
select memo from dashboard where memo = 'B-secret';
