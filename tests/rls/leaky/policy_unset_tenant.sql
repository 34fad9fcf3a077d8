-- What: "No tenant set" was meant for migrations and the console: IS NULL opens the table to a session that sets nothing.
-- Class: policy_unset_tenant
-- Object: public.orders
-- Exploit: A new connection that never sets the tenant sees every row.
-- @schema
create table orders (id bigint generated always as identity primary key, tenant_id uuid not null, body text not null);
alter table orders enable row level security;
alter table orders force row level security;
create policy tenant on orders using (current_setting('app.tenant_id', true) is null
  or tenant_id::text = current_setting('app.tenant_id', true));
grant select, insert, update, delete on orders to app_user;
-- @rows
insert into orders (tenant_id, body) values (:'A', 'A-row'), (:'B', 'B-secret');
-- @fix
drop policy tenant on orders;
create policy tenant on orders using (tenant_id::text = current_setting('app.tenant_id', true));
-- @control
select from orders where tenant_id = :'A';
-- @reconnect
select body from orders where body = 'B-secret';
