-- What: A view with security_invoker, owned by a superuser.
-- Exploit: SELECT from the view.
-- Since: 15
-- @superuser
create table orders (id bigint generated always as identity primary key, tenant_id uuid not null, body text not null);
alter table orders enable row level security;
alter table orders force row level security;
create policy tenant on orders using (tenant_id::text = current_setting('app.tenant_id', true));
create view order_list with (security_invoker = true) as select id, body from orders;
create view order_count with (security_invoker = true) as select count(*) as orders, string_agg(body, ',') as bodies from order_list;
grant select, insert, update, delete on orders to app_user;
grant select on order_list, order_count to app_user;
-- @rows
insert into orders (tenant_id, body) values (:'A', 'A-row'), (:'B', 'B-secret');
-- @control
select from order_count where orders = 1;
-- @attack
select from order_list where body = 'B-secret' union all select from order_count where bodies like '%B-secret%';
