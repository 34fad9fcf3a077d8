-- What: Numbers within the tenant: composite primary and foreign keys, and a policy that joins by both columns.
-- Exploit: Order 1 of tenant B is not order 1 of tenant A.
-- @schema
create table orders (tenant_id uuid not null, no int not null, memo text not null, primary key (tenant_id, no));
create table lines (tenant_id uuid not null, order_no int not null, pos int not null, body text not null, primary key (tenant_id,
  order_no, pos),
  foreign key (tenant_id, order_no) references orders on update cascade on delete cascade);
alter table orders enable row level security;
alter table orders force row level security;
alter table lines enable row level security;
alter table lines force row level security;
create policy tenant on orders using (tenant_id = nullif(current_setting('app.tenant_id', true), '')::uuid);
create policy by_order on lines using (exists (select from orders o where o.no = lines.order_no and o.tenant_id = lines.tenant_id));
grant select, insert, update, delete on orders, lines to app_user;
-- @rows
insert into orders values (:'A', 1, 'A-row'), (:'B', 1, 'B-row');
insert into lines values (:'A', 1, 1, 'A-row'), (:'B', 1, 1, 'B-secret');
-- @control
select from lines where tenant_id = :'A';
-- @attack
delete from orders where no = 1;
select from lines;
-- @look
select from lines where tenant_id = :'B' having count(*) <> 1;
