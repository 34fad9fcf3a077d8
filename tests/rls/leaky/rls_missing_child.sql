-- What: Order lines have no tenant column, "they belong to the order", and so nobody listed them for row-level security.
-- Class: rls_missing
-- Object: public.order_lines
-- Exploit: SELECT from the child.
-- @schema
create table orders (id bigint generated always as identity primary key, tenant_id uuid not null);
alter table orders enable row level security;
alter table orders force row level security;
create policy tenant on orders using (tenant_id::text = current_setting('app.tenant_id', true));
create table order_lines (id bigint generated always as identity primary key, order_id bigint not null references orders,
  sku text not null);
grant select, insert, update, delete on orders, order_lines to app_user;
-- @rows
insert into orders (tenant_id) values (:'A'), (:'B');
insert into order_lines (order_id, sku) select id, case tenant_id when :'A' then 'A-row' else 'B-secret' end from orders;
-- @fix
alter table order_lines enable row level security;
alter table order_lines force row level security;
create policy tenant on order_lines using (exists (select from orders o where o.id = order_lines.order_id));
-- @control
select from order_lines where sku = 'A-row';
-- @exploit
select sku from order_lines where sku = 'B-secret';
