-- What: Numbers are unique within a tenant; the child's policy joins its parent by number alone.
-- Class: policy_join_incomplete|policy_captured_column|policy_lookup_writable|cross_tenant_leak
-- Object: public.lines
-- Exploit: Tenant A has an order 1, too: tenant B's lines of order 1 seem to be its own.
-- @schema
create table orders (tenant_id uuid not null, no int not null, primary key (tenant_id, no));
create table lines (tenant_id uuid not null, order_no int not null, pos int not null, body text not null,
  primary key (tenant_id, order_no, pos), foreign key (tenant_id, order_no) references orders);
alter table orders enable row level security;
alter table orders force row level security;
alter table lines enable row level security;
alter table lines force row level security;
create policy tenant on orders using (tenant_id::text = current_setting('app.tenant_id', true));
create policy by_order on lines using (exists (select from orders o where o.no = lines.order_no));
grant select, insert, update, delete on orders, lines to app_user;
-- @rows
insert into orders values (:'A', 1), (:'B', 1);
insert into lines values (:'A', 1, 1, 'A-row'), (:'B', 1, 1, 'B-secret');
-- @fix
alter policy by_order on lines using (exists (select from orders o where o.no = lines.order_no and o.tenant_id = lines.tenant_id));
-- @control
select from lines where tenant_id = :'A';
-- @exploit
select body from lines where body = 'B-secret';
